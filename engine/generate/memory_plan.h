// SPDX-License-Identifier: GPL-3.0-or-later
// How much memory a model will take: worked out from headers, by backend, weight type and context, with the
// arithmetic that the backends allocate by. A planner is immutable and shared by any threads.
#pragma once

#include "engine/backend/backend.h"
#include "engine/model/model.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ergo {

/// Where a model could run.
struct MemoryHost {
    std::string backend;         ///< "cpu", "vulkan:0": as --backend takes it
    std::string device;          ///< for people
    std::uint64_t available = 0; ///< bytes that can be had now; 0: not known
    /// As Backend::need.
    std::function<MemoryNeed(const Tables& tables, std::int64_t capacity, std::span<const Plan* const> plans)>
        need;
    std::function<DType(DType stored)> held_as; ///< as Backend::held_as
};

/// The host of an opened backend; `backend` must outlive it.
MemoryHost memory_host(const Backend& backend);
/// The CPU with `threads` (0: one a core).
MemoryHost cpu_memory_host(int threads);
/// The CPU, then every usable Vulkan device. Opens no device, but looking for them takes a while.
std::vector<MemoryHost> memory_hosts(int threads);
/// Bytes of main memory that programs can get now: what is free or can be freed, within the limit of the
/// control group that this program runs in. 0 when the system does not say.
std::uint64_t available_memory();

/// The most memory this program has held so far, mapped files' pages included; 0 when the system does not
/// say.
std::uint64_t peak_memory();

struct MemoryItem {
    std::string what; ///< "weights", "cache", "scratch", "capture", "reserve"
    std::uint64_t bytes = 0;
};

struct MemoryPlan {
    std::string backend, dtype; ///< dtype: of the weight matrices as run
    std::string cache;          ///< what keys and values are kept in: f32, bf16 or q8
    std::int64_t context = 0;
    std::vector<MemoryItem> items; ///< weights, cache, scratch, capture, reserve
    std::uint64_t in_place = 0;    ///< part of the weights that is read in the file itself
    std::uint64_t available = 0;   ///< of the host

    std::uint64_t total() const;
    std::uint64_t item(const std::string& what) const; ///< 0 when there is none
    /// Capture counts only for who looks while the model runs.
    bool fits(bool captures) const;
};

/// What is not the model's: the program's own code and tables, frames on their way to a reader …
inline constexpr std::uint64_t memory_reserve = std::uint64_t{28} << 20;
/// … and its tokenizer: about this much a token, as measured with those of SmolLM2 and Qwen2.
inline constexpr std::uint64_t memory_per_token = 200;

class MemoryPlanner {
  public:
    /// `tokenizer`: one is read with the model (`has_tokenizer`), which counts as reserve.
    explicit MemoryPlanner(std::shared_ptr<const Model> model, bool tokenizer = false);

    /// `dtype` as --dtype takes it and `cache` as --cache does; empty: as the model was opened.
    MemoryPlan plan(const MemoryHost& host, std::int64_t context, const std::string& dtype = {},
                    const std::string& cache = {}) const;

    /// The longest context of at most `up_to` that fits, a multiple of 256 (or `up_to` itself); 0 when none
    /// does.
    std::int64_t longest_context(const MemoryHost& host, std::int64_t up_to, bool captures,
                                 const std::string& dtype = {}, const std::string& cache = {}) const;

    /// Throws Error(resources, M-MEMORY) with the numbers and the settings that would make the model fit,
    /// when it does not fit on `host`. `others` are tried too.
    void require(const MemoryHost& host, std::int64_t context, bool captures,
                 const std::vector<MemoryHost>& others) const;

  private:
    std::string advice(const MemoryHost& host, std::int64_t context, bool captures,
                       const std::vector<MemoryHost>& others) const;

    std::shared_ptr<const Model> model_;
    std::uint64_t reserve_;
    std::vector<ModelPlan> plain_, watched_; ///< of one step and of a prompt's; watched by the lenses
};

/// "5.3 GB"
std::string bytes_text(std::uint64_t bytes);

} // namespace ergo
