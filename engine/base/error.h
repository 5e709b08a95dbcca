// SPDX-License-Identifier: GPL-3.0-or-later
// The one exception type of the engine. It carries what a person needs to act: what is wrong, where, what to
// do. Thrown anywhere below the thread boundary, caught there and turned into an event or an exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ergo {

/// What went wrong, coarsely: decides the exit code and how a window shows it.
enum class ErrorKind {
    io,          ///< a file could not be read or written
    format,      ///< a file is truncated, malformed or hostile
    unsupported, ///< recognised, but this program (or this backend) cannot run it
    mismatch,    ///< a checkpoint does not fit its schema
    usage,       ///< the caller asked for something that makes no sense
    resources,   ///< memory, disk or a device is exhausted
    device,      ///< a device was lost or refused
    cancelled,   ///< the caller cancelled
};

/// Optional details of an error; every field may stay empty.
struct ErrorWhere {
    std::string code{};                    ///< stable short code such as "F-TRUNCATED"
    std::string file{};                    ///< file name without its folder
    std::optional<std::uint64_t> offset{}; ///< byte offset in the file
    std::string tensor{};                  ///< tensor name
    std::string advice{};                  ///< one sentence saying what to do
};

class Error : public std::runtime_error {
  public:
    /// `message`: one sentence saying what is wrong, with the numbers involved.
    Error(ErrorKind kind, const std::string& message, ErrorWhere where = {});

    ErrorKind kind() const { return kind_; }
    const ErrorWhere& where() const { return where_; }
    /// The sentence alone, without place and advice.
    const std::string& message() const { return message_; }

  private:
    ErrorKind kind_;
    std::string message_;
    ErrorWhere where_;
};

/// `text` made safe to show: control and bidirectional characters escaped, invalid UTF-8 as \xNN,
/// cut at `limit` bytes with an ellipsis. For names that come out of a file.
std::string printable(std::string_view text, std::size_t limit = 200);

} // namespace ergo
