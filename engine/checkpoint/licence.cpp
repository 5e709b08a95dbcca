// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/licence.h"

#include "engine/base/error.h"

#include <algorithm>

namespace ergo {

namespace {

constexpr std::size_t front_matter_bytes = 8192, longest_text = std::size_t{256} << 10, longest_name = 80;

std::string trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n\"'#";
    const auto begin = text.find_first_not_of(space);
    return begin == std::string_view::npos
               ? std::string()
               : std::string(text.substr(begin, text.find_last_not_of(space) - begin + 1));
}

/// A file that cannot be read says as much about the licence as one that is not there.
std::optional<std::string> quiet_side_file(const Checkpoint& checkpoint, const std::string& name) {
    try {
        return checkpoint.side_file(name);
    } catch (const Error&) {
        return std::nullopt;
    }
}

/// Model cards begin with a YAML block between lines of three dashes; one line of it is wanted.
std::string from_card(const std::string& card) {
    const std::string_view head = std::string_view(card).substr(0, front_matter_bytes);
    std::size_t at = 0;
    while (at < head.size()) {
        const std::size_t end = std::min(head.find('\n', at), head.size());
        const std::string_view line = head.substr(at, end - at);
        if (line.starts_with("license:")) {
            return printable(trimmed(line.substr(8)), longest_name);
        }
        at = end + 1;
    }
    return {};
}

} // namespace

Licence find_licence(const Checkpoint& checkpoint) {
    Licence licence;
    if (const auto card = quiet_side_file(checkpoint, "README.md")) {
        licence.name = from_card(*card);
        licence.from = licence.name.empty() ? "" : "README.md";
    }
    for (const char* name :
         {"LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md", "LICENCE.txt", "COPYING"}) {
        if (const auto text = quiet_side_file(checkpoint, name)) {
            licence.text = text->substr(0, longest_text);
            if (licence.name.empty()) {
                const std::string start = trimmed(std::string_view(licence.text).substr(0, 400));
                licence.name = printable(trimmed(start.substr(0, start.find('\n'))), longest_name);
                licence.from = name;
            }
            break;
        }
    }
    return licence;
}

} // namespace ergo
