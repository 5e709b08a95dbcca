// SPDX-License-Identifier: GPL-3.0-or-later
// What one rendering may use up, so that no template can run for long or fill the memory (file-formats
// specification §10). One rendering, one thread.
#pragma once

#include "engine/template/value.h"

namespace ergo::jinja {

class TemplateBudget {
  public:
    static constexpr std::size_t most_steps = 200'000;               ///< statements and expressions evaluated
    static constexpr std::size_t most_output = std::size_t{4} << 20; ///< bytes of the output, of any string
    static constexpr std::size_t most_work = std::size_t{256} << 20; ///< bytes moved or compared, about

    void step() {
        if (++steps_ > most_steps) {
            fail("needs more than " + std::to_string(most_steps) + " steps");
        }
    }
    void work(std::size_t units) {
        work_ += units;
        if (work_ > most_work) {
            fail("moves more than " + std::to_string(most_work >> 20) + " MiB of text");
        }
    }
    /// Of a string about to be made.
    void length(std::size_t bytes) {
        if (bytes > most_output) {
            fail("makes a text of more than " + std::to_string(most_output >> 20) + " MiB");
        }
        work(bytes);
    }

  private:
    [[noreturn]] static void fail(const std::string& what) {
        throw TemplateProblem{"CT-LIMIT", "the template " + what};
    }
    std::size_t steps_ = 0, work_ = 0;
};

} // namespace ergo::jinja
