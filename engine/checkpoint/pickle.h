// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a pickle as data. A small stack machine knows the instructions that build plain values; it can
// neither import a module nor call anything: the few symbols a file may name are turned into values by a
// `PickleHost`, which is written by hand. Everything else stops the reading. Internal to this floor; one
// thread.
#pragma once

#include "engine/base/error.h"
#include "engine/checkpoint/torch_value.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ergo {

/// What stops a pickle from being read; the machine adds file and offset and throws it as Error.
struct PickleProblem {
    std::string code, what;
    std::string advice = "Download or save the file again.";
    ErrorKind kind = ErrorKind::format;
};

/// Memory that reading a file may take, as its size justifies it: 1.25 times the file and 64 MiB.
class ReadingBudget {
  public:
    explicit ReadingBudget(std::uint64_t file_size)
        : limit_(file_size + file_size / 4 + (std::uint64_t{64} << 20)), left_(limit_) {}
    /// Throws PickleProblem (F-TOO-LARGE) when less than `bytes` is left.
    void take(std::uint64_t bytes);

  private:
    std::uint64_t limit_, left_;
};

/// Gives the symbols of a pickle their meaning. All three throw PickleProblem.
class PickleHost {
  public:
    virtual ~PickleHost() = default;
    /// Never nullptr: an unknown name is a problem.
    virtual const TorchSymbol* symbol(std::string_view module, std::string_view name) = 0;
    /// The value that `symbol` makes of its arguments, a tuple's items.
    virtual TorchValue call(const TorchSymbol& symbol, const TorchValue::Items& arguments) = 0;
    /// The value behind a persistent id.
    virtual TorchValue persistent(const TorchValue& id) = 0;
};

/// Values with their depth and hash set. `budget` is charged for what they hold.
TorchValue make_text(std::string text, ReadingBudget& budget);
TorchValue make_bytes(std::string bytes, ReadingBudget& budget);
TorchValue make_sequence(TorchNode::Sequence::Form form, TorchValue::Items items, ReadingBudget& budget);
TorchValue make_map(ReadingBudget& budget);
template <class Content> TorchValue make_leaf(Content content, ReadingBudget& budget) {
    budget.take(sizeof(TorchNode));
    auto node = std::make_shared<TorchNode>();
    node->content = std::move(content);
    return TorchValue(std::move(node));
}

/// Reads one pickle of protocol 2 to 5 that fills `text`, which begins at `offset` of the file. Throws Error
/// with PT-PROTOCOL, PT-PICKLE (malformed, a forbidden instruction, a limit: 8 million values on the stack or
/// in the memo, 64 levels, 16 MiB a text), F-TOO-LARGE, and whatever the host says.
TorchValue read_pickle(std::span<const std::byte> text, std::uint64_t offset, const std::string& file_name,
                       PickleHost& host, ReadingBudget& budget);

} // namespace ergo
