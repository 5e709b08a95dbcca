// SPDX-License-Identifier: GPL-3.0-or-later
// The interface between models and machines. A Backend belongs to the process; a LoadedModel holds a model's
// weights on it; an Executor holds one session's state and parameters. An Executor is used by one thread at a
// time (its session's worker); a LoadedModel may serve several executors.
#pragma once

#include "engine/backend/matrix_use.h"
#include "engine/backend/memory_need.h"
#include "engine/backend/plan.h"
#include "engine/base/cancel.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ergo {

enum class DeviceKind : std::uint8_t {
    cpu,            ///< the CPU backend itself
    discrete_gpu,   ///< memory of its own
    integrated_gpu, ///< shares main memory
    virtual_gpu,    ///< a GPU as a virtual machine sees it
    software,       ///< a Vulkan driver that computes on the CPU: for tests
    other,
};

struct DeviceInfo {
    std::string backend; ///< "cpu" or "vulkan"
    std::string name;    ///< "AMD EPYC, 2 threads, AVX-512"
    std::string driver;
    std::uint64_t memory_bytes = 0;
    std::uint64_t available_bytes = 0; ///< of them free now; 0: the device does not say
    std::vector<std::string> features;
    bool software = false; ///< a software Vulkan device
    DeviceKind kind = DeviceKind::cpu;
    std::string unusable{}; ///< why its backend cannot use it; empty: it can
    /// Names what its kernels are made of; changes when they do. For what is measured once and kept.
    std::string kernels{};
    MatrixUse matrices{};      ///< what became of cooperative matrices in the products of a prompt
    bool has_matrices = false; ///< they are used, or would be but for Diagnostics::no_cooperative_matrix
};

/// What was done since the executor was made: proves that skipped paths are skipped.
struct Counters {
    std::uint64_t weight_bytes_read = 0;
    std::uint64_t forward_passes = 0;
    std::uint64_t host_ops = 0;    ///< ops of a plan computed by the host for a device
    std::uint64_t dispatches = 0;  ///< kernels started on a device
    std::uint64_t submissions = 0; ///< times a device was given work
    std::uint64_t bytes_moved = 0; ///< weights, cached positions and buffers that kernels read and wrote
};

/// What one op of a plan took, summed over the runs that were timed.
struct OpTime {
    std::string name;   ///< Op::name
    std::string kernel; ///< what computed it, for people
    std::uint64_t runs = 0;
    double seconds = 0;
    std::uint64_t weight_bytes = 0; ///< read; 0 where it is not known
    std::uint64_t bytes_moved = 0;  ///< weights, cached positions and buffers; 0 where it is not known
    std::uint64_t operations = 0;   ///< of products: a multiplication and an addition are two
};

/// A plan made ready for one executor. Owned by the caller, must not outlive its executor.
class Program {
  public:
    virtual ~Program() = default;
    /// Memory it holds (scratch).
    virtual MemoryNeed taken() const = 0;
    /// In the plan's order; empty unless the executor was told to time ops before it prepared the program.
    virtual std::vector<OpTime> op_times() const { return {}; }
};

/// A session's state, backend-neutral: [states][position * width]. For branches, a switch of backend, a lost
/// device.
struct StateSnapshot {
    std::int64_t length = 0; ///< positions
    std::vector<std::vector<float>> states;
};

class Executor {
  public:
    virtual ~Executor() = default;

    /// Compiles or looks up `plan` (kept alive). Throws Error(unsupported) naming an op this backend lacks.
    virtual std::unique_ptr<Program> prepare(std::shared_ptr<const Plan> plan) = 0;

    /// Runs one step. step.rows() must be 1..max_rows and step.position + rows within the capacity.
    /// Throws Error(cancelled) between ops when `cancel` is set; the state beyond step.position is then
    /// undefined.
    virtual void run(Program& program, const StepState& step, const CancelToken& cancel) = 0;

    /// As run(), for a caller that reads what a step shows (the plan's taps) while the next step is at work.
    /// `meanwhile` is called once on this thread: when the step has been given to a device, or before the
    /// host computes it. In it read() gives the taps (and nothing else) of `program` as the run before left
    /// them, if that was a run_meanwhile() too. Only for plans of one row.
    virtual void run_meanwhile(Program& program, const StepState& step, const CancelToken& cancel,
                               const std::function<void()>& meanwhile) {
        meanwhile();
        run(program, step, cancel);
    }

    /// The buffer as the last run left it; valid until the next run of the same program.
    virtual std::span<const float> read(Program& program, BufferId buffer) = 0;

    /// Interventions: the parameter as later steps read it.
    virtual void set_param(ParamId param, std::span<const float> values) = 0;
    virtual std::vector<float> param(ParamId param) const = 0;

    /// Rows [0, length) of one state, [length, width].
    virtual std::vector<float> read_state(StateId state, std::int64_t length) = 0;
    virtual StateSnapshot export_state(std::int64_t length) = 0;
    virtual void import_state(const StateSnapshot& snapshot) = 0;

    /// Whether programs prepared from now on measure how long each op takes (which may slow them down). A
    /// backend that cannot measure leaves their times empty.
    virtual void time_ops(bool) {}

    virtual std::int64_t capacity() const = 0; ///< positions
    virtual Counters counters() const = 0;
    /// Memory it holds or has reserved: the cache of all positions and its own scratch, without its programs.
    virtual MemoryNeed taken() const = 0;
};

class LoadedModel {
  public:
    virtual ~LoadedModel() = default;
    virtual std::unique_ptr<Executor> create_executor(std::int64_t capacity) = 0;
    virtual std::uint64_t weight_bytes() const = 0; ///< bytes of weights held or mapped
    /// Memory of the weights. Copies that kernels asked for are counted once they are made.
    virtual MemoryNeed taken() const = 0;
};

class Backend {
  public:
    virtual ~Backend() = default;
    virtual DeviceInfo info() const = 0;
    /// What load(), create_executor(capacity) and prepare() of all `plans` will take together, from sizes
    /// alone: no weight is read. The allocations are made by the same arithmetic.
    virtual MemoryNeed need(const Tables& tables, std::int64_t capacity,
                            std::span<const Plan* const> plans) const = 0;
    /// The type whose numbers a matrix that is stored as `stored` has here, however they are laid out: that
    /// type where there is a kernel for it, else the floats that it becomes while it is loaded.
    virtual DType held_as(DType stored) const = 0;
    /// Makes the weights usable. `tables` must outlive the result.
    virtual std::unique_ptr<LoadedModel> load(std::shared_ptr<const Tables> tables, const Progress& progress,
                                              const CancelToken& cancel) = 0;
};

/// The CPU: `threads` 0 means one a physical core. Never fails.
std::shared_ptr<Backend> make_cpu_backend(int threads = 0);

} // namespace ergo
