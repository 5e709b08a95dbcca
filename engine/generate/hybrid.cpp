// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/hybrid.h"

#include "engine/base/embedded.h"
#include "engine/base/keyed_file.h"
#include "engine/generate/session.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

namespace ergo {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* file_kind = "speeds";
constexpr double part_seconds = 0.45; // four of them, and the steps that end them, stay below two seconds
constexpr double margin = 1.1;
constexpr double typical_prompt = 512, typical_reply = 128; // tokens

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Cancels `inner` after some time, or when a person cancels `outer`.
class Deadline {
  public:
    Deadline(double seconds, const CancelToken& outer)
        : watch_([this, seconds, outer, start = Clock::now()](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  if (outer.cancelled() || seconds_since(start) > seconds) {
                      inner.cancel();
                      return;
                  }
                  std::this_thread::sleep_for(std::chrono::milliseconds(2));
              }
          }) {}

    CancelToken inner;

  private:
    std::jthread watch_; // last: it must be there no longer than the token
};

/// The best rate of rounds of `tokens` tokens within `seconds`; where not one round was done, what it would
/// have been at most.
double best_rate(double seconds, double tokens, const CancelToken& cancel,
                 const std::function<void(const CancelToken&)>& round) {
    const Deadline deadline(seconds, cancel);
    const auto start = Clock::now();
    double best = 0;
    try {
        while (seconds_since(start) < seconds) {
            const auto begin = Clock::now();
            round(deadline.inner);
            best = std::max(best, tokens / std::max(seconds_since(begin), 1e-9));
        }
    } catch (const Error& error) {
        cancel.check();
        if (error.kind() != ErrorKind::cancelled) {
            throw;
        }
    }
    return best > 0 ? best : tokens / seconds_since(start);
}

Speeds speeds_of(const std::shared_ptr<const OpenedModel>& opened, const CancelToken& cancel) {
    Session session(opened);
    const std::int64_t vocabulary = opened->model->info().vocabulary;
    const std::int64_t rows = std::min(prompt_rows, opened->context - 1);
    std::vector<std::int32_t> prompt;
    for (std::int64_t i = 0; i < rows; ++i) {
        prompt.push_back(static_cast<std::int32_t>((i * 7919 + 13) % vocabulary));
    }
    session.set_tokens(std::span(prompt).first(static_cast<std::size_t>(std::min<std::int64_t>(2, rows))), {},
                       cancel); // kernels are made before the clock runs
    session.decode(prompt[0], cancel);
    Speeds speeds;
    speeds.reading =
        best_rate(part_seconds, static_cast<double>(rows), cancel, [&](const CancelToken& until) {
            session.rewind(0);
            session.set_tokens(prompt, {}, until);
        });
    speeds.writing = best_rate(part_seconds, 1, cancel, [&](const CancelToken& until) {
        if (session.length() + 1 >= session.capacity()) {
            session.rewind(1);
        }
        session.decode(prompt[0], until);
    });
    return speeds;
}

/// Everything that the speeds depend on.
std::string key_of(const DeviceInfo& device, const DeviceInfo& cpu, const Tables& tables) {
    std::string key = "2";
    for (const DeviceInfo& each : {device, cpu}) {
        key += "\n" + each.name + "\n" + each.driver + "\n" + each.kernels;
        for (const std::string& feature : each.features) {
            key += "," + feature;
        }
    }
    std::uint64_t hash = damage_hash({});
    for (const EmbeddedFile& file : embedded_below("shaders/")) {
        hash = damage_hash(file.bytes, hash);
    }
    std::string shapes;
    for (const WeightInfo& weight : tables.weights) {
        shapes += dtype_name(weight.type());
        for (const std::int64_t size : weight.tensor.shape()) {
            shapes += " " + std::to_string(size);
        }
        shapes += ";";
    }
    return key + "\n" + hexadecimal(hash) + hexadecimal(damage_hash(std::as_bytes(std::span(shapes))));
}

double typical_seconds(const Speeds& reading, const Speeds& writing) {
    return typical_prompt / reading.reading + typical_reply / writing.writing;
}

std::string rounded(double rate) {
    char text[32];
    std::snprintf(text, sizeof text, rate < 10 ? "%.1f" : "%.0f", rate);
    return text;
}

} // namespace

Split faster_split(const PairSpeeds& speeds) {
    const bool reads = speeds.cpu.reading > margin * speeds.device.reading;
    const bool writes = speeds.cpu.writing > margin * speeds.device.writing;
    if (reads) {
        return writes ? Split::cpu_alone : Split::cpu_reads;
    }
    return writes ? Split::device_reads : Split::device_alone;
}

Split better_pair(const PairSpeeds& speeds) {
    return typical_seconds(speeds.cpu, speeds.device) < typical_seconds(speeds.device, speeds.cpu)
               ? Split::cpu_reads
               : Split::device_reads;
}

std::optional<PairNames> pair_names(const std::string& name) {
    const auto plus = name.find('+');
    if (plus == std::string::npos) {
        return {};
    }
    return PairNames{name.substr(0, plus), name.substr(plus + 1)};
}

BackendChoice with_speeds(const BackendChoice& device, const std::string& device_name,
                          const PairSpeeds& speeds) {
    const std::string reason = "Measured: " + speeds_text(speeds, device_name);
    switch (faster_split(speeds)) {
    case Split::device_reads:
        return {device.backend + "+cpu", reason};
    case Split::cpu_reads:
        return {"cpu+" + device.backend, reason};
    case Split::cpu_alone:
        return {"cpu", reason};
    case Split::device_alone:
        break;
    }
    return device;
}

std::optional<PairSpeeds> remembered_speeds(const DeviceInfo& device, const DeviceInfo& cpu,
                                            const Tables& tables, const std::filesystem::path& folder) {
    if (folder.empty()) {
        return {};
    }
    const std::vector<std::byte> bytes = read_keyed(folder, key_of(device, cpu, tables), file_kind);
    std::array<double, 4> rates{};
    if (bytes.size() != sizeof rates) {
        return {};
    }
    std::memcpy(rates.data(), bytes.data(), sizeof rates);
    if (!std::all_of(rates.begin(), rates.end(),
                     [](double rate) { return std::isfinite(rate) && rate > 0; })) {
        return {};
    }
    return PairSpeeds{{rates[0], rates[1]}, {rates[2], rates[3]}};
}

void keep_speeds(const DeviceInfo& device, const DeviceInfo& cpu, const Tables& tables,
                 const std::filesystem::path& folder, const PairSpeeds& speeds) {
    const std::array rates{speeds.device.reading, speeds.device.writing, speeds.cpu.reading,
                           speeds.cpu.writing};
    if (!folder.empty()) {
        write_keyed(folder, key_of(device, cpu, tables), file_kind, std::as_bytes(std::span(rates)));
    }
}

PairSpeeds measure_speeds(const std::shared_ptr<const OpenedModel>& device,
                          const std::shared_ptr<const OpenedModel>& cpu, const std::filesystem::path& folder,
                          const CancelToken& cancel) {
    const PairSpeeds speeds{speeds_of(device, cancel), speeds_of(cpu, cancel)};
    keep_speeds(device->backend->info(), cpu->backend->info(), *device->model->tables(), folder, speeds);
    return speeds;
}

std::string speeds_text(const PairSpeeds& speeds, const std::string& device) {
    return device + " reads " + rounded(speeds.device.reading) + " and writes " +
           rounded(speeds.device.writing) + " tokens/s, the CPU " + rounded(speeds.cpu.reading) + " and " +
           rounded(speeds.cpu.writing) + ".";
}

} // namespace ergo
