// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/template/lexer.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/template/python_string.h"
#include "engine/template/value.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace ergo::jinja {

namespace {

using Kind = TemplateToken::Kind;

// Line ends become \n, and one at the very end goes, as in the reference.
std::string with_unix_lines(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            i += i + 1 < source.size() && source[i + 1] == '\n';
        } else {
            out += source[i];
        }
    }
    if (out.ends_with('\n')) {
        out.pop_back();
    }
    return out;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

class Cutter {
  public:
    explicit Cutter(std::string_view source) : owned_(with_unix_lines(source)), in_(owned_) {}

    std::vector<TemplateToken> run() {
        while (at_ < in_.size()) {
            outside();
        }
        add(Kind::end, "");
        return std::move(tokens_);
    }

  private:
    [[noreturn]] void fail(const std::string& message) const {
        throw TemplateProblem{"CT-SYNTAX", message, line_};
    }

    bool starts_with(std::string_view what) const { return in_.substr(at_).starts_with(what); }

    void add(Kind kind, std::string text) {
        TemplateToken token;
        token.kind = kind;
        token.text = std::move(text);
        token.line = line_;
        tokens_.push_back(std::move(token));
    }

    void advance(std::size_t to) {
        line_ += static_cast<int>(std::count(in_.begin() + static_cast<std::ptrdiff_t>(at_),
                                             in_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
        at_ = to;
    }

    void skip_space() {
        std::size_t to = at_;
        while (to < in_.size()) {
            const Utf8Char c = decode_utf8(in_, to);
            if (!is_python_space(c.code_point)) {
                break;
            }
            to += c.length;
        }
        advance(to);
    }

    // Plain text up to the next marker, then what the marker opens.
    void outside() {
        std::size_t open = at_;
        while (true) {
            open = in_.find('{', open);
            if (open == std::string_view::npos || open + 1 >= in_.size()) {
                open = in_.size();
                break;
            }
            if (in_[open + 1] == '{' || in_[open + 1] == '%' || in_[open + 1] == '#') {
                break;
            }
            ++open;
        }
        const std::string_view text = in_.substr(at_, open - at_);
        if (open == in_.size()) {
            add_text(text);
            advance(open);
            return;
        }
        const char kind = in_[open + 1];
        const char sign = open + 2 < in_.size() ? in_[open + 2] : '\0';
        add_text(before_marker(text, sign, kind != '{'));
        advance(open + 2 + (sign == '-' || sign == '+' ? 1 : 0));
        if (kind == '#') {
            comment();
        } else if (kind == '{') {
            inside(Kind::print_begin, Kind::print_end, "}}");
        } else if (!raw_block()) {
            inside(Kind::block_begin, Kind::block_end, "%}");
        }
    }

    void add_text(std::string_view text) {
        if (!text.empty()) {
            add(Kind::text, std::string(text));
        }
    }

    // `text` as the marker after it leaves it: "{%-" takes all white space before it, "{%" the blanks back
    // to the line's start.
    std::string_view before_marker(std::string_view text, char sign, bool is_block) const {
        if (sign == '-') {
            while (!text.empty()) {
                std::size_t last = text.size() - 1;
                while (last > 0 && (text[last] & 0xC0) == 0x80) {
                    --last;
                }
                if (!is_python_space(decode_utf8(text, last).code_point)) {
                    break;
                }
                text = text.substr(0, last);
            }
        } else if (sign != '+' && is_block) {
            const std::size_t line_start = text.rfind('\n') + 1; // npos + 1 is 0
            const std::string_view blanks = text.substr(line_start);
            const bool all_blank = std::all_of(blanks.begin(), blanks.end(), [](char c) {
                return c == ' ' || c == '\t' || c == '\f' || c == '\v';
            });
            if ((line_start > 0 || at_line_start_) && all_blank) {
                text = text.substr(0, line_start);
            }
        }
        return text;
    }

    // After a marker's end at `at_`: "-%}" takes the white space that follows, "%}" one line end.
    void close(char sign, bool takes_line_end) {
        at_line_start_ = false;
        if (sign == '-') {
            const std::size_t before = at_;
            skip_space();
            at_line_start_ = at_ > before && in_[at_ - 1] == '\n';
        } else if (sign != '+' && takes_line_end && at_ < in_.size() && in_[at_] == '\n') {
            advance(at_ + 1);
            at_line_start_ = true;
        }
    }

    void comment() {
        const std::size_t end = in_.find("#}", at_);
        if (end == std::string_view::npos) {
            fail("a comment '{#' has no '#}'");
        }
        const char sign = end > at_ ? in_[end - 1] : '\0';
        advance(end + 2);
        close(sign, true);
    }

    // "{% raw %} … {% endraw %}": text as it stands. False if the block is another one.
    bool raw_block() {
        const std::size_t begin = at_;
        const int line = line_;
        skip_space();
        const bool is_raw =
            starts_with("raw") && !is_name_character(in_.size() > at_ + 3 ? in_[at_ + 3] : ' ');
        if (is_raw) {
            advance(at_ + 3);
            skip_space();
        }
        const bool minus = starts_with("-%}");
        if (!is_raw || (!minus && !starts_with("%}"))) {
            at_ = begin;
            line_ = line;
            return false;
        }
        advance(at_ + (minus ? 3 : 2));
        close(minus ? '-' : '+', false);
        for (std::size_t open = in_.find("{%", at_); open != std::string_view::npos;
             open = in_.find("{%", open + 1)) {
            const std::string_view text = in_.substr(at_, open - at_);
            const char sign = open + 2 < in_.size() ? in_[open + 2] : '\0';
            const std::size_t saved = at_;
            const int saved_line = line_;
            advance(open + 2 + (sign == '-' || sign == '+' ? 1 : 0));
            skip_space();
            if (starts_with("endraw")) {
                advance(at_ + 6);
                skip_space();
                const char end_sign = starts_with("-%}") ? '-' : starts_with("+%}") ? '+' : ' ';
                if (end_sign != ' ' || starts_with("%}")) {
                    add_text(before_marker(text, sign, true));
                    advance(at_ + (end_sign == ' ' ? 2 : 3));
                    close(end_sign, true);
                    return true;
                }
            }
            at_ = saved;
            line_ = saved_line;
        }
        fail("'{% raw %}' has no '{% endraw %}'");
    }

    // Words and signs up to `end_marker`, which does not count while a bracket is open.
    void inside(Kind begin, Kind end, std::string_view end_marker) {
        const int opened = line_;
        add(begin, "");
        std::string brackets;
        while (true) {
            skip_space();
            if (at_ >= in_.size()) {
                line_ = opened;
                fail("what is opened here is never closed with '" + std::string(end_marker) + "'");
            }
            if (brackets.empty()) {
                const char sign = in_[at_];
                const bool is_block = end == Kind::block_end;
                const bool signed_end =
                    (sign == '-' || (sign == '+' && is_block)) && in_.substr(at_ + 1).starts_with(end_marker);
                if (signed_end || starts_with(end_marker)) {
                    add(end, "");
                    advance(at_ + end_marker.size() + (signed_end ? 1 : 0));
                    close(signed_end ? sign : ' ', is_block);
                    return;
                }
            }
            token(brackets);
        }
    }

    void token(std::string& brackets) {
        const char c = in_[at_];
        const bool after_dot = at_ > 0 && in_[at_ - 1] == '.';
        if (is_digit(c)) {
            number(after_dot);
        } else if (is_name_character(c)) {
            std::size_t end = at_;
            while (end < in_.size() && is_name_character(in_[end])) {
                ++end;
            }
            add(Kind::name, std::string(in_.substr(at_, end - at_)));
            advance(end);
        } else if (c == '\'' || c == '"') {
            string(c);
        } else {
            sign(brackets);
        }
    }

    void sign(std::string& brackets) {
        static constexpr std::string_view signs[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                     "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                     ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
        const auto* found = std::find_if(std::begin(signs), std::end(signs),
                                         [&](std::string_view known) { return starts_with(known); });
        if (found == std::end(signs)) {
            fail("the character '" + printable(in_.substr(at_, decode_utf8(in_, at_).length)) +
                 "' has no meaning here");
        }
        const char c = found->front();
        if (c == '(' || c == '[' || c == '{') {
            brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if (c == ')' || c == ']' || c == '}') {
            if (brackets.empty() || brackets.back() != c) {
                fail(std::string("a '") + c + "' closes nothing" +
                     (brackets.empty() ? "" : std::string("; '") + brackets.back() + "' is expected"));
            }
            brackets.pop_back();
        }
        add(Kind::sign, std::string(*found));
        advance(at_ + found->size());
    }

    std::size_t digits_end(std::size_t at) const {
        while (at < in_.size() &&
               (is_digit(in_[at]) || (in_[at] == '_' && at + 1 < in_.size() && is_digit(in_[at + 1])))) {
            ++at;
        }
        return at;
    }

    void number(bool after_dot) {
        std::size_t end = digits_end(at_);
        bool real = false;
        if (!after_dot) { // "x.1.2" are two subscripts
            if (end + 1 < in_.size() && in_[end] == '.' && is_digit(in_[end + 1])) {
                end = digits_end(end + 1);
                real = true;
            }
            std::size_t power = end + 1;
            if (end < in_.size() && (in_[end] == 'e' || in_[end] == 'E')) {
                power += power < in_.size() && (in_[power] == '+' || in_[power] == '-') ? 1 : 0;
                if (power < in_.size() && is_digit(in_[power])) {
                    end = digits_end(power);
                    real = true;
                }
            }
        }
        int base = 10;
        if (!real && end == at_ + 1 && in_[at_] == '0' && end < in_.size()) {
            const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(in_[end])));
            base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
            for (end += base != 10 ? 1 : 0;
                 base != 10 && end < in_.size() && std::isxdigit(static_cast<unsigned char>(in_[end]));) {
                ++end;
            }
        }
        std::string digits(in_.substr(at_, end - at_));
        digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
        add(real ? Kind::real : Kind::integer, digits);
        const char* first = digits.data() + (base == 10 ? 0 : 2);
        const char* last = digits.data() + digits.size();
        TemplateToken& token = tokens_.back();
        const auto [stop, error] = real ? std::from_chars(first, last, token.real)
                                        : std::from_chars(first, last, token.integer, base);
        if (error != std::errc{} || stop != last) {
            fail("the number " + printable(digits, 40) + " cannot be read");
        }
        advance(end);
    }

    void string(char quote) {
        std::string value;
        std::size_t at = at_ + 1;
        for (; at < in_.size() && in_[at] != quote; ++at) {
            if (in_[at] != '\\') {
                value += in_[at];
            } else if (++at < in_.size()) {
                escape(at, value);
            }
        }
        if (at >= in_.size()) {
            fail("a string has no closing quote");
        }
        add(Kind::string, value);
        advance(at + 1);
    }

    // The escape whose letter is at `at`; leaves `at` at its last character.
    void escape(std::size_t& at, std::string& value) const {
        static constexpr std::string_view letters = "ntrabfv\\'\"", meanings = "\n\t\r\a\b\f\v\\'\"";
        const char c = in_[at];
        if (const auto known = letters.find(c); known != std::string_view::npos) {
            value += meanings[known];
        } else if (c >= '0' && c <= '7') {
            std::uint32_t code = 0;
            std::size_t end = at;
            for (; end < in_.size() && end < at + 3 && in_[end] >= '0' && in_[end] <= '7'; ++end) {
                code = code * 8 + static_cast<std::uint32_t>(in_[end] - '0');
            }
            append_utf8(value, code);
            at = end - 1;
        } else if (c == 'x' || c == 'u' || c == 'U') {
            const std::size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
            const std::string_view digits = in_.substr(at + 1, count);
            std::uint32_t code = 0;
            const auto [stop, error] =
                std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
            if (error != std::errc{} || stop != digits.data() + count || code > 0x10FFFF ||
                (code >= 0xD800 && code < 0xE000)) {
                fail(std::string("a string has a malformed '\\") + c + "'");
            }
            append_utf8(value, code);
            at += count;
        } else if (c == 'N') {
            fail("a string uses '\\N', which this program does not support");
        } else if (c != '\n') { // a backslash before a line end takes it away; any other stays
            value += '\\';
            value += c;
        }
    }

    std::string owned_;
    std::string_view in_;
    std::size_t at_ = 0;
    int line_ = 1;
    bool at_line_start_ = true; // what comes next begins a line
    std::vector<TemplateToken> tokens_;
};

} // namespace

std::vector<TemplateToken> cut_template(std::string_view source) {
    return Cutter(source).run();
}

} // namespace ergo::jinja
