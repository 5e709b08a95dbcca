// SPDX-License-Identifier: GPL-3.0-or-later
// Arguments of one `ergo` command: declared once, used for parsing and for --help. Wrong usage throws
// UsageError, which main turns into exit code 2.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ergo::cli {

/// One sentence saying what is wrong with the command line.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct Option {
    std::string name;  ///< "--tokens", "-p"
    std::string value; ///< name of its value in the help, "" for a switch
    std::string help;
    bool repeatable = false;
};

/// A command's arguments: positional names in order, "[X]" for optional ones.
struct Syntax {
    std::string command, summary;
    std::vector<std::string> positional;
    std::vector<Option> options;
    std::string help() const;
};

class Arguments {
  public:
    /// Parses what follows the command's name. Both `--name value` and `--name=value`; `--` ends the options.
    Arguments(const Syntax& syntax, const std::vector<std::string>& words);

    bool has(const std::string& name) const { return values_.contains(name); }
    std::string text(const std::string& name, const std::string& otherwise = "") const;
    const std::vector<std::string>& all(const std::string& name) const;
    /// Whole number within [least, most]; throws UsageError naming the option and the range.
    std::int64_t integer(const std::string& name, std::int64_t otherwise, std::int64_t least,
                         std::int64_t most) const;
    double real(const std::string& name, double otherwise) const;
    const std::vector<std::string>& positional() const { return positional_; }
    std::optional<std::string> positional(std::size_t index) const;
    /// Throws UsageError when the option is missing.
    std::string required(const std::string& name) const;

  private:
    std::map<std::string, std::vector<std::string>> values_;
    std::vector<std::string> positional_;
};

/// Token ids: "1,2,3" or "@file" with one per line. Throws UsageError or Error(io).
std::vector<std::int32_t> parse_ids(const std::string& text);

/// Contents of a file; Error(io) in one sentence otherwise. At most `limit` bytes.
std::string read_text_file(const std::string& path, std::size_t limit = std::size_t{1} << 30);

} // namespace ergo::cli
