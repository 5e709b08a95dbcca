// SPDX-License-Identifier: GPL-3.0-or-later
// A string that knows where each of its bytes came from: from the template itself, or from which piece of
// data. What a person typed can so be told from the template's own markers after any cutting and joining. A
// plain value, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ergo::jinja {

/// Where bytes came from: 0 is the template, anything else is data (numbers given by the caller).
using TextSource = std::int32_t;
inline constexpr TextSource template_source = 0;

class SourcedText {
  public:
    struct Run {
        std::size_t end = 0; ///< byte after the run's last; it begins where the run before it ends
        TextSource source = template_source;
        bool operator==(const Run&) const = default;
    };

    SourcedText() = default;
    explicit SourcedText(std::string bytes, TextSource source = template_source);

    const std::string& bytes() const { return bytes_; }
    std::size_t size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }
    /// In order, without gaps, neighbours of different source.
    std::span<const Run> runs() const { return runs_; }

    void append(std::string_view bytes, TextSource source);
    void append(const SourcedText& other) { append(other, 0, other.size()); }
    /// Bytes [begin, end) of `other`.
    void append(const SourcedText& other, std::size_t begin, std::size_t end);
    SourcedText slice(std::size_t begin, std::size_t end) const;
    /// Source of the byte at `at`; of the template when there is none.
    TextSource source_at(std::size_t at) const;

  private:
    std::size_t run_of(std::size_t at) const; // index of the run that holds byte `at`

    std::string bytes_;
    std::vector<Run> runs_;
};

} // namespace ergo::jinja
