// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/template/text.h"

#include <algorithm>

namespace ergo::jinja {

SourcedText::SourcedText(std::string bytes, TextSource source) : bytes_(std::move(bytes)) {
    if (!bytes_.empty()) {
        runs_.push_back({bytes_.size(), source});
    }
}

std::size_t SourcedText::run_of(std::size_t at) const {
    const auto found = std::upper_bound(runs_.begin(), runs_.end(), at,
                                        [](std::size_t value, const Run& run) { return value < run.end; });
    return static_cast<std::size_t>(found - runs_.begin());
}

TextSource SourcedText::source_at(std::size_t at) const {
    const std::size_t run = run_of(at);
    return run < runs_.size() ? runs_[run].source : template_source;
}

void SourcedText::append(std::string_view bytes, TextSource source) {
    if (bytes.empty()) {
        return;
    }
    bytes_ += bytes;
    if (!runs_.empty() && runs_.back().source == source) {
        runs_.back().end = bytes_.size();
    } else {
        runs_.push_back({bytes_.size(), source});
    }
}

void SourcedText::append(const SourcedText& other, std::size_t begin, std::size_t end) {
    end = std::min(end, other.size());
    for (std::size_t run = other.run_of(begin); begin < end; ++run) {
        const std::size_t stop = std::min(end, other.runs_[run].end);
        append(std::string_view(other.bytes_).substr(begin, stop - begin), other.runs_[run].source);
        begin = stop;
    }
}

SourcedText SourcedText::slice(std::size_t begin, std::size_t end) const {
    SourcedText out;
    out.append(*this, begin, end);
    return out;
}

} // namespace ergo::jinja
