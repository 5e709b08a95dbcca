// SPDX-License-Identifier: GPL-3.0-or-later
// What Python's strings can do, on texts that remember their sources. Positions and lengths are in
// characters where Python's are. Pure functions, any thread.
#pragma once

#include "engine/template/text.h"

#include <optional>
#include <utility>
#include <vector>

namespace ergo::jinja {

/// str.isspace() of one character.
bool is_python_space(char32_t c);

std::size_t count_characters(std::string_view text);
/// Byte at which character `index` (0 … count) begins.
std::size_t byte_of_character(std::string_view text, std::size_t index);

/// strip(), lstrip(), rstrip(): white space, or the characters of `characters`.
SourcedText strip(const SourcedText& text, std::optional<std::string_view> characters = std::nullopt,
                  bool left = true, bool right = true);

/// split(separator, most): by white space without a separator (which is not empty); -1: no limit.
std::vector<SourcedText> split(const SourcedText& text, std::optional<std::string_view> separator,
                               std::int64_t most);
std::vector<SourcedText> rsplit(const SourcedText& text, std::optional<std::string_view> separator,
                                std::int64_t most);
std::vector<SourcedText> split_lines(const SourcedText& text, bool keep_ends);

/// replace(old, fresh, most): -1 replaces all; an empty `old` stands between all characters.
SourcedText replace(const SourcedText& text, std::string_view old, const SourcedText& fresh,
                    std::int64_t most = -1);
/// What replace() will be long, in bytes, at most.
std::size_t replaced_size(const SourcedText& text, std::string_view old, const SourcedText& fresh);

enum class LetterCase { upper, lower, title, capital, swap };
SourcedText change_case(const SourcedText& text, LetterCase how);

/// Texts one after another with `separator` between.
SourcedText join(const SourcedText& separator, const std::vector<SourcedText>& parts);

} // namespace ergo::jinja
