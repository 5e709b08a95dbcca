// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/cpu_backend.h"

#include "engine/backend/cpu/cpu_executor.h"
#include "engine/backend/cpu/kernel_hash.h"
#include "engine/backend/cpu/kernels_quant.h"

#include <unistd.h>

#include <fstream>

namespace ergo {

namespace {

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (line.starts_with("model name") && colon != std::string::npos && colon + 2 < line.size()) {
            return line.substr(colon + 2);
        }
    }
    return "CPU";
}

std::uint64_t memory_bytes() {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 0;
}

class CpuLoadedModel final : public LoadedModel {
  public:
    CpuLoadedModel(std::shared_ptr<const cpu::CpuModel> model, std::shared_ptr<ThreadPool> pool, bool vnni)
        : model_(std::move(model)), pool_(std::move(pool)), vnni_(vnni) {}
    std::unique_ptr<Executor> create_executor(std::int64_t capacity) override {
        return std::make_unique<cpu::CpuExecutor>(model_, pool_, capacity, vnni_);
    }
    std::uint64_t weight_bytes() const override { return model_->weight_bytes(); }
    MemoryNeed taken() const override { return model_->taken(); }

  private:
    std::shared_ptr<const cpu::CpuModel> model_;
    std::shared_ptr<ThreadPool> pool_;
    bool vnni_;
};

class CpuBackend final : public Backend {
  public:
    CpuBackend(int threads, bool vnni, bool pinned)
        : pool_(std::make_shared<ThreadPool>(threads > 0 ? threads : ThreadPool::physical_cores(), pinned)),
          vnni_(vnni), pinned_(pinned) {}

    DeviceInfo info() const override {
        DeviceInfo info;
        const std::string instructions = cpu::instruction_set();
        const int threads = pool_->threads();
        info.backend = "cpu";
        info.name = processor_name() + ", " + std::to_string(threads) +
                    (threads == 1 ? " thread, " : " threads, ") + instructions;
        info.memory_bytes = memory_bytes();
        info.features = {instructions};
        info.kernels = instructions + (vnni_ ? " VNNI" : "") + (pinned_ ? " pinned " : " ") +
                       std::string(cpu::kernel_hash());
        return info;
    }

    MemoryNeed need(const Tables& tables, std::int64_t capacity,
                    std::span<const Plan* const> plans) const override {
        return cpu::need(tables, copy_limit(), pool_->threads(), capacity, plans);
    }

    DType held_as(DType stored) const override { return cpu::held_as(stored); }

    std::unique_ptr<LoadedModel> load(std::shared_ptr<const Tables> tables, const Progress& progress,
                                      const CancelToken& cancel) override {
        return std::make_unique<CpuLoadedModel>(std::make_shared<const cpu::CpuModel>(std::move(tables),
                                                                                      copy_limit(), progress,
                                                                                      cancel, pool_.get()),
                                                pool_, vnni_);
    }

  private:
    static std::uint64_t copy_limit() { return memory_bytes() / 2; }

    std::shared_ptr<ThreadPool> pool_;
    bool vnni_, pinned_;
};

} // namespace

std::shared_ptr<Backend> cpu::make_backend(int threads, bool vnni, bool pinned) {
    return std::make_shared<CpuBackend>(threads, vnni, pinned);
}

std::shared_ptr<Backend> cpu::make_pinned_backend(int threads) {
    return make_backend(threads, has_vnni(), true);
}

std::shared_ptr<Backend> make_cpu_backend(int threads) {
    return cpu::make_backend(threads, cpu::has_vnni());
}

} // namespace ergo
