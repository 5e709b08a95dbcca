// SPDX-License-Identifier: GPL-3.0-or-later
// Cancellation and progress of long jobs. A token is shared by the caller (any thread) and the job (its
// thread).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

namespace ergo {

/// Cheap to copy; all copies share one flag. A default token can be cancelled like any other.
class CancelToken {
  public:
    CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
    void cancel() const { flag_->store(true, std::memory_order_relaxed); }
    bool cancelled() const { return flag_->load(std::memory_order_relaxed); }
    /// Throws Error(cancelled) when the flag is set.
    void check() const;

  private:
    std::shared_ptr<std::atomic<bool>> flag_;
};

/// Called from the job's thread; `done` of `total` in any unit, `what` in words. Must return quickly.
using Progress = std::function<void(double done, double total, const std::string& what)>;

} // namespace ergo
