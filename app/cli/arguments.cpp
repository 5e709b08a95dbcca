// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/arguments.h"

#include "engine/base/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ergo::cli {

namespace {

const Option* find(const Syntax& syntax, const std::string& name) {
    const auto it = std::find_if(syntax.options.begin(), syntax.options.end(),
                                 [&](const Option& option) { return option.name == name; });
    return it == syntax.options.end() ? nullptr : &*it;
}

// "-3" and "-0.5" are values, "-n" is an option.
bool looks_like_option(const std::string& word) {
    return word.size() > 1 && word[0] == '-' &&
           !(std::isdigit(static_cast<unsigned char>(word[1])) || word[1] == '.');
}

template <class Number> bool parse_number(const std::string& text, Number& number) {
    const char* end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, number);
    return problem == std::errc{} && stop == end && !text.empty();
}

} // namespace

std::string Syntax::help() const {
    std::ostringstream out;
    out << "Usage: ergo " << command;
    for (const std::string& name : positional) {
        out << ' ' << name;
    }
    out << (options.empty() ? "" : " [options]") << "\n\n" << summary << "\n";
    std::size_t width = 0;
    for (const Option& option : options) {
        width = std::max(width, option.name.size() + 1 + option.value.size());
    }
    out << (options.empty() ? "" : "\nOptions:\n");
    for (const Option& option : options) {
        const std::string left = option.name + (option.value.empty() ? "" : " " + option.value);
        out << "  " << left << std::string(width - left.size() + 2, ' ') << option.help << "\n";
    }
    return out.str();
}

Arguments::Arguments(const Syntax& syntax, const std::vector<std::string>& words) {
    bool options_over = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (!options_over && word == "--") {
            options_over = true;
            continue;
        }
        if (options_over || !looks_like_option(word)) {
            positional_.push_back(word);
            continue;
        }
        const auto equals = word.starts_with("--") ? word.find('=') : std::string::npos;
        const std::string name = word.substr(0, equals);
        const Option* option = find(syntax, name);
        if (!option) {
            throw UsageError("'" + printable(name) + "' is not an option of ergo " + syntax.command + ".");
        }
        std::string value;
        if (option->value.empty()) {
            if (equals != std::string::npos) {
                throw UsageError(name + " takes no value.");
            }
        } else if (equals != std::string::npos) {
            value = word.substr(equals + 1);
        } else if (i + 1 < words.size()) {
            value = words[++i];
        } else {
            throw UsageError(name + " needs a value (" + option->value + ").");
        }
        auto& values = values_[name];
        if (!values.empty() && !option->repeatable) {
            throw UsageError(name + " was given twice.");
        }
        values.push_back(std::move(value));
    }
    const auto needed =
        static_cast<std::size_t>(std::count_if(syntax.positional.begin(), syntax.positional.end(),
                                               [](const std::string& n) { return n[0] != '['; }));
    if (positional_.size() < needed) {
        throw UsageError(syntax.positional[positional_.size()] + " is missing.");
    }
    if (positional_.size() > syntax.positional.size()) {
        throw UsageError("'" + printable(positional_[syntax.positional.size()]) +
                         "' is one argument too many.");
    }
}

std::string Arguments::text(const std::string& name, const std::string& otherwise) const {
    const auto it = values_.find(name);
    return it == values_.end() ? otherwise : it->second.back();
}

const std::vector<std::string>& Arguments::all(const std::string& name) const {
    static const std::vector<std::string> none;
    const auto it = values_.find(name);
    return it == values_.end() ? none : it->second;
}

std::int64_t Arguments::integer(const std::string& name, std::int64_t otherwise, std::int64_t least,
                                std::int64_t most) const {
    if (!has(name)) {
        return otherwise;
    }
    std::int64_t value = 0;
    if (!parse_number(text(name), value) || value < least || value > most) {
        throw UsageError(name + " is '" + printable(text(name)) + "'; it must be a whole number from " +
                         std::to_string(least) + " to " + std::to_string(most) + ".");
    }
    return value;
}

double Arguments::real(const std::string& name, double otherwise) const {
    if (!has(name)) {
        return otherwise;
    }
    double value = 0;
    if (!parse_number(text(name), value) || !std::isfinite(value)) {
        throw UsageError(name + " is '" + printable(text(name)) + "'; it must be a number.");
    }
    return value;
}

std::optional<std::string> Arguments::positional(std::size_t index) const {
    return index < positional_.size() ? std::optional(positional_[index]) : std::nullopt;
}

std::string Arguments::required(const std::string& name) const {
    if (!has(name)) {
        throw UsageError(name + " is missing.");
    }
    return text(name);
}

std::string read_text_file(const std::string& path, std::size_t limit) {
    std::error_code problem;
    const std::string name = std::filesystem::path(path).filename().string();
    if (std::filesystem::is_directory(path, problem)) {
        throw Error(ErrorKind::io, "This is a folder; a file was expected.", {.file = name});
    }
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw Error(ErrorKind::io, "The file cannot be opened.", {.file = name});
    }
    const auto size = std::filesystem::file_size(path, problem);
    if (problem) { // a pipe or a device: nobody knows how much will come
        limit = std::min(limit, std::size_t{64} << 20);
    }
    std::string text;
    if (problem || size <= limit) {
        std::vector<char> piece(std::size_t{1} << 16);
        while (text.size() <= limit && (file.read(piece.data(), std::ssize(piece)), file.gcount() > 0)) {
            text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
        }
    }
    if ((!problem && size > limit) || text.size() > limit) {
        throw Error(ErrorKind::io,
                    "The file has " +
                        (problem ? "more bytes than" : std::to_string(size) + " bytes, more than") +
                        " the limit of " + std::to_string(limit) + ".",
                    {.file = name});
    }
    return text;
}

std::vector<std::int32_t> parse_ids(const std::string& text) {
    std::string list = text;
    if (text.starts_with('@')) {
        list = read_text_file(text.substr(1), std::size_t{1} << 28);
        std::replace(list.begin(), list.end(), '\n', ',');
        std::erase(list, '\r');
    }
    std::vector<std::int32_t> ids;
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');) {
        std::erase(part, ' ');
        if (part.empty() && text.starts_with('@')) {
            continue; // blank lines
        }
        std::int32_t id = 0;
        if (!parse_number(part, id) || id < 0) {
            throw UsageError("'" + printable(part) +
                             "' is not a token id; ids are whole numbers from 0, separated by commas.");
        }
        ids.push_back(id);
    }
    if (ids.empty()) {
        throw UsageError("The list of token ids is empty.");
    }
    return ids;
}

} // namespace ergo::cli
