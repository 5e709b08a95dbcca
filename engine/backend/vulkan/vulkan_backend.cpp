// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/vulkan_backend.h"

#include "engine/backend/vulkan/device_peak.h"
#include "engine/backend/vulkan/program.h"
#include "engine/base/error.h"

#include <utility>

namespace ergo {

namespace vulkan {

namespace {

class VulkanExecutor final : public Executor {
  public:
    VulkanExecutor(std::shared_ptr<Context> context, std::shared_ptr<Weights> weights, std::int64_t capacity)
        : context_(std::move(context)), weights_(std::move(weights)),
          memory_(context_->device, weights_->tables(), capacity) {}

    std::unique_ptr<Program> prepare(std::shared_ptr<const Plan> plan) override {
        validate(*plan, weights_->tables());
        const MatrixKernel* matrices =
            could_use_matrices(weights_->tables(), *plan) ? context_->matrices.kernel(*context_) : nullptr;
        return std::make_unique<VulkanProgram>(*context_, *weights_, memory_, std::move(plan), timed_,
                                               matrices);
    }

    void run(Program& program, const StepState& step, const CancelToken& cancel) override {
        VulkanProgram& mine = own(program);
        validate_step(mine.plan(), weights_->tables(), step, memory_.capacity());
        cancel.check();
        have_fault();
        mine.run(step, cancel, counters_);
    }

    void run_meanwhile(Program& program, const StepState& step, const CancelToken& cancel,
                       const std::function<void()>& meanwhile) override {
        VulkanProgram& mine = own(program);
        validate_step(mine.plan(), weights_->tables(), step, memory_.capacity());
        cancel.check();
        have_fault();
        mine.run_meanwhile(step, cancel, counters_, meanwhile);
    }

    void time_ops(bool timed) override { timed_ = timed; }

    std::span<const float> read(Program& program, BufferId buffer) override {
        return own(program).read(buffer);
    }

    void set_param(ParamId param, std::span<const float> values) override {
        memory_.set_param(param, values);
    }

    std::vector<float> param(ParamId param) const override {
        const auto values = memory_.param(param);
        return {values.begin(), values.end()};
    }

    std::vector<float> read_state(StateId state, std::int64_t length) override {
        return memory_.read_state(state, length);
    }

    StateSnapshot export_state(std::int64_t length) override {
        StateSnapshot snapshot{length, {}};
        for (std::size_t i = 0; i < weights_->tables().states.size(); ++i) {
            snapshot.states.push_back(memory_.read_state(StateId{static_cast<std::int32_t>(i)}, length));
        }
        return snapshot;
    }

    void import_state(const StateSnapshot& snapshot) override {
        const auto& states = weights_->tables().states;
        bool fits = snapshot.states.size() == states.size() && snapshot.length >= 0 &&
                    snapshot.length <= memory_.capacity();
        for (std::size_t i = 0; fits && i < states.size(); ++i) {
            fits = snapshot.states[i].size() == static_cast<std::size_t>(snapshot.length * states[i].width);
        }
        if (!fits) {
            throw Error(ErrorKind::usage, "a snapshot of " + std::to_string(snapshot.states.size()) +
                                              " states and " + std::to_string(snapshot.length) +
                                              " positions does not fit a session of " +
                                              std::to_string(states.size()) + " states and " +
                                              std::to_string(memory_.capacity()) + " positions");
        }
        for (std::size_t i = 0; i < states.size(); ++i) {
            memory_.write_state(StateId{static_cast<std::int32_t>(i)}, snapshot.states[i]);
        }
    }

    std::int64_t capacity() const override { return memory_.capacity(); }
    Counters counters() const override { return counters_; }
    MemoryNeed taken() const override { return memory_.taken(); }

  private:
    /// The failure that was asked for, as the driver would report it.
    void have_fault() const {
        const std::optional<DeviceFault>& fault = context_->device.options().fault;
        if (fault && counters_.forward_passes >= fault->at_step) {
            const bool lost = fault->kind == DeviceFault::Kind::lost;
            if (lost) {
                context_->device.lose();
            }
            check(lost ? VK_ERROR_DEVICE_LOST : VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  "giving work to " + context_->device.traits().info.name);
        }
    }

    VulkanProgram& own(Program& program) const {
        auto* mine = dynamic_cast<VulkanProgram*>(&program);
        if (!mine || &mine->session() != &memory_) {
            throw Error(ErrorKind::usage, "the program was prepared by another executor");
        }
        return *mine;
    }

    std::shared_ptr<Context> context_;
    std::shared_ptr<Weights> weights_;
    SessionMemory memory_;
    Counters counters_;
    bool timed_ = false;
};

class VulkanModel final : public LoadedModel {
  public:
    VulkanModel(std::shared_ptr<Context> context, std::shared_ptr<Weights> weights)
        : context_(std::move(context)), weights_(std::move(weights)) {}

    std::unique_ptr<Executor> create_executor(std::int64_t capacity) override {
        return std::make_unique<VulkanExecutor>(context_, weights_, capacity);
    }
    std::uint64_t weight_bytes() const override { return weights_->bytes(); }
    MemoryNeed taken() const override {
        MemoryNeed taken;
        taken.weights = weights_->allocated();
        return taken;
    }

  private:
    std::shared_ptr<Context> context_;
    std::shared_ptr<Weights> weights_;
};

class VulkanBackend final : public Backend {
  public:
    VulkanBackend(const VulkanOptions& options, int index)
        : context_(std::make_shared<Context>(options, index)) {}

    DeviceInfo info() const override {
        DeviceInfo info = context_->device.traits().info;
        context_->matrices.tell(info);
        return info;
    }

    MemoryNeed need(const Tables& tables, std::int64_t capacity,
                    std::span<const Plan* const> plans) const override {
        return vulkan_need(tables, capacity, plans);
    }

    DType held_as(DType stored) const override { return vulkan_held_as(stored); }

    std::unique_ptr<LoadedModel> load(std::shared_ptr<const Tables> tables, const Progress& progress,
                                      const CancelToken& cancel) override {
        for (const StateInfo& state : tables->states) {
            if (state.stored != DType::f32) {
                throw Error(ErrorKind::unsupported,
                            "Vulkan devices keep keys and values in f32 alone, not in " +
                                std::string(dtype_name(state.stored)) + ".",
                            {.advice = "Leave out --cache, or use --backend cpu."});
            }
        }
        auto weights = std::make_shared<Weights>(context_->device, std::move(tables), progress, cancel);
        return std::make_unique<VulkanModel>(context_, std::move(weights));
    }

    Context& context() const { return *context_; }

  private:
    std::shared_ptr<Context> context_;
};

} // namespace

} // namespace vulkan

std::vector<DeviceInfo> vulkan_devices() {
    try {
        const vulkan::Instance instance(VulkanOptions{});
        std::vector<DeviceInfo> found;
        for (const VkPhysicalDevice device : instance.physical_devices()) {
            found.push_back(vulkan::inspect(instance, device).info);
        }
        return found;
    } catch (const std::exception&) {
        return {}; // no loader or no driver: there are no devices
    }
}

std::optional<DevicePeak> measure_vulkan_peak(const Backend& backend, std::uint64_t bytes) {
    const auto* mine = dynamic_cast<const vulkan::VulkanBackend*>(&backend);
    return mine ? std::optional(vulkan::measure_peak(mine->context(), bytes)) : std::nullopt;
}

std::shared_ptr<Backend> make_vulkan_backend(int device_index, const VulkanOptions& options) {
    return std::make_shared<vulkan::VulkanBackend>(options, device_index);
}

} // namespace ergo
