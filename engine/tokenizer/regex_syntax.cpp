// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/regex_syntax.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <vector>

namespace ergo {

namespace {

// White_Space, exactly: PCRE2's own \s also takes U+180E.
constexpr std::string_view white_space =
    "\\t-\\r\\x20\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";
constexpr std::string_view word_characters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
// Outside a class Oniguruma's \w has the numbers of Latin-1 too.
constexpr std::string_view latin1_numbers = "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";

class Translator {
  public:
    explicit Translator(std::string_view pattern) : in_(pattern) {}

    std::string run() {
        while (at_ < in_.size()) {
            step();
        }
        return std::move(out_);
    }

  private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw Error(ErrorKind::unsupported,
                    "the pre-tokenizer's pattern uses " + what +
                        ", which this program does not support: " + printable(in_, 120),
                    {.code = "TK-REGEX"});
    }

    bool next_is(char c) const { return at_ < in_.size() && in_[at_] == c; }
    bool starts_with(std::string_view text) const { return in_.substr(at_).starts_with(text); }

    void step() {
        switch (in_[at_]) {
        case '\\':
            atom_ = out_.size();
            escape();
            break;
        case '[':
            atom_ = out_.size();
            character_class();
            break;
        case '(':
            open_group();
            break;
        case ')':
            if (!groups_.empty()) {
                atom_ = groups_.back();
                groups_.pop_back();
            }
            out_ += in_[at_++];
            break;
        case '{':
            interval();
            break;
        case '*':
        case '+':
        case '?':
            out_ += in_[at_++];
            if (next_is('+') || next_is('?')) {
                out_ += in_[at_++];
            }
            break;
        default:
            if ((in_[at_] & 0xC0) != 0x80) { // not the middle of a character
                atom_ = out_.size();
            }
            out_ += in_[at_++];
        }
    }

    // Copies "(…": Oniguruma's option m lets the dot match a line end, which is PCRE2's s.
    void open_group() {
        groups_.push_back(out_.size());
        out_ += in_[at_++];
        if (!next_is('?')) {
            if (next_is('*')) {
                refuse("a call-out or a verb '(*'");
            }
            return;
        }
        out_ += in_[at_++];
        if (next_is('#')) {
            while (at_ < in_.size() && in_[at_] != ')') {
                out_ += in_[at_++];
            }
            return;
        }
        if (next_is('~') || next_is('{') || next_is('(')) {
            refuse(std::string("the group '(?") + in_[at_] + "'");
        }
        while (at_ < in_.size() && (std::isalpha(static_cast<unsigned char>(in_[at_])) || in_[at_] == '-')) {
            const char option = in_[at_++];
            if (option != 'i' && option != 'm' && option != 'x' && option != '-') {
                refuse(std::string("the option '(?") + option + "'");
            }
            out_ += option == 'm' ? 's' : option;
        }
    }

    // "{n,m}" and "{,m}". A '+' after it repeats it again and a '?' after "{n}" makes it optional, where
    // PCRE2 would take the first for possessive and the second for lazy.
    void interval() {
        std::size_t end = at_ + 1;
        const auto skip_digits = [&] {
            const std::size_t begin = end;
            while (end < in_.size() && std::isdigit(static_cast<unsigned char>(in_[end]))) {
                ++end;
            }
            return end - begin;
        };
        const std::size_t low = skip_digits();
        const bool comma = end < in_.size() && in_[end] == ',';
        end += comma;
        const std::size_t high = comma ? skip_digits() : 0;
        if (low + high == 0 || end >= in_.size() || in_[end] != '}') {
            atom_ = out_.size();
            out_ += in_[at_++]; // a plain brace
            return;
        }
        out_ += low == 0 ? "{0" : "{";
        out_ += in_.substr(at_ + 1, end + 1 - (at_ + 1));
        at_ = end + 1;
        const bool exact = !comma;
        if (next_is('+') || (exact && next_is('?'))) {
            out_.insert(atom_, "(?:");
            out_ += ')';
            out_ += in_[at_++];
        } else if (next_is('?')) {
            out_ += in_[at_++];
        }
    }

    void escape() {
        if (at_ + 1 >= in_.size()) {
            refuse("a backslash with nothing after it");
        }
        const char c = in_[at_ + 1];
        at_ += 2;
        const std::string members = std::string(word_characters).append(latin1_numbers);
        const std::string word = "[" + members + "]", not_word = "[^" + members + "]";
        switch (c) {
        case 's':
            (out_ += '[') += white_space, out_ += ']';
            break;
        case 'S':
            (out_ += "[^") += white_space, out_ += ']';
            break;
        case 'w':
            out_ += word;
            break;
        case 'W':
            out_ += not_word;
            break;
        case 'b':
            out_ += "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))";
            break;
        case 'B':
            out_ += "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))";
            break;
        case 'h':
            out_ += "[0-9A-Fa-f]";
            break;
        case 'H':
            out_ += "[^0-9A-Fa-f]";
            break;
        case 'A':
        case 'z':
        case 'G':
        case 'R':
            (out_ += '\\') += c;
            break;
        default:
            if (c >= '1' && c <= '9') {
                (out_ += '\\') += c; // a back reference
            } else {
                shared_escape(c);
            }
        }
    }

    // Escapes that mean the same inside and outside a class. `at_` is after the letter.
    void shared_escape(char c) {
        const auto letter = static_cast<unsigned char>(c);
        if (letter >= 0x80 || !std::isalnum(letter)) {
            (out_ += '\\') += c; // a quoted character; a longer one's other bytes follow by themselves
            return;
        }
        switch (c) {
        case 'd':
            out_ += "\\p{Nd}";
            break;
        case 'D':
            out_ += "\\P{Nd}";
            break;
        case 'v':
            out_ += "\\x{0B}"; // to PCRE2 \v is all vertical space
            break;
        case 't':
        case 'n':
        case 'r':
        case 'f':
        case 'a':
        case 'e':
            (out_ += '\\') += c;
            break;
        case 'u':
        case 'x':
            code_point(c);
            break;
        case 'p':
        case 'P':
            property(c);
            break;
        default:
            refuse(std::string("the escape '\\") + c + "'");
        }
    }

    // "\uHHHH", "\xHH" or "\x{H…}".
    void code_point(char kind) {
        std::string digits;
        const bool braces = kind == 'x' && next_is('{');
        at_ += braces;
        const std::size_t most = braces ? 8 : kind == 'u' ? 4 : 2;
        while (at_ < in_.size() && digits.size() < most &&
               std::isxdigit(static_cast<unsigned char>(in_[at_]))) {
            digits += in_[at_++];
        }
        const bool closed = !braces || next_is('}');
        at_ += braces && closed;
        if (digits.empty() || !closed || (kind == 'u' && digits.size() != 4)) {
            refuse(std::string("a malformed '\\") + kind + "'");
        }
        if (kind == 'x' && !braces && digits.size() == 2 && digits[0] >= '8') {
            refuse("'\\x' for a single byte above 7F");
        }
        ((out_ += "\\x{") += digits) += '}';
    }

    // "\p{Name}", "\p{^Name}"; Oniguruma reads names without regard to case, spaces, '_' and '-'.
    void property(char kind) {
        const std::size_t end = in_.find('}', at_);
        if (!next_is('{') || end == std::string_view::npos) {
            refuse(std::string("'\\") + kind + "' without a name in braces");
        }
        const std::string_view name = in_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        ((out_ += '\\') += kind) += '{';
        (out_ += translate_property(name)) += '}';
    }

    // PCRE2 knows the general categories by their short names alone, and a script's bare name means its
    // extensions.
    static std::string translate_property(std::string_view name) {
        const bool negated = name.starts_with('^');
        std::string key;
        for (const char c : name) {
            if (std::isalnum(static_cast<unsigned char>(c)) || c == '&') {
                key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
            }
        }
        static constexpr std::pair<std::string_view, std::string_view> names[] = {
            {"letter", "L"},
            {"uppercaseletter", "Lu"},
            {"lowercaseletter", "Ll"},
            {"titlecaseletter", "Lt"},
            {"modifierletter", "Lm"},
            {"otherletter", "Lo"},
            {"mark", "M"},
            {"nonspacingmark", "Mn"},
            {"spacingmark", "Mc"},
            {"enclosingmark", "Me"},
            {"number", "N"},
            {"decimalnumber", "Nd"},
            {"letternumber", "Nl"},
            {"othernumber", "No"},
            {"punctuation", "P"},
            {"symbol", "S"},
            {"separator", "Z"},
            {"spaceseparator", "Zs"},
            {"other", "C"},
            {"control", "Cc"},
            {"format", "Cf"},
            {"alpha", "Alphabetic"},
            {"space", "White_Space"},
            {"digit", "Nd"},
            {"upper", "Uppercase"},
            {"lower", "Lowercase"},
        };
        static constexpr std::string_view binary[] = {"alphabetic", "whitespace", "uppercase",  "lowercase",
                                                      "any",        "emoji",      "ideographic"};
        std::string translated(negated ? name.substr(1) : name);
        const auto* full = std::find_if(std::begin(names), std::end(names),
                                        [&](const auto& entry) { return entry.first == key; });
        if (full != std::end(names)) {
            translated = full->second;
        } else if (key.size() > 2 &&
                   std::find(std::begin(binary), std::end(binary), key) == std::end(binary)) {
            translated = "sc:" + translated;
        }
        return (negated ? "^" : "") + translated;
    }

    void character_class() {
        out_ += in_[at_++];
        if (next_is('^')) {
            out_ += in_[at_++];
        }
        if (next_is(']')) { // the first ']' is a member
            out_ += "\\]";
            ++at_;
        }
        while (at_ < in_.size() && in_[at_] != ']') {
            class_member();
        }
        if (at_ >= in_.size()) {
            refuse("a class without its ']'");
        }
        out_ += in_[at_++];
    }

    void class_member() {
        if (starts_with("&&")) {
            refuse("the set operator '&&'");
        }
        if (starts_with("[:")) {
            posix_class();
        } else if (in_[at_] == '[') {
            refuse("a class inside a class");
        } else if (in_[at_] != '\\') {
            out_ += in_[at_++];
        } else {
            class_escape();
        }
    }

    // "[:name:]", which the two libraries fill differently.
    void posix_class() {
        const std::size_t end = in_.find(":]", at_);
        const std::string_view name = end == std::string_view::npos ? "" : in_.substr(at_ + 2, end - at_ - 2);
        static constexpr std::pair<std::string_view, std::string_view> classes[] = {
            {"alpha", "\\p{Alphabetic}"}, {"alnum", "\\p{Alphabetic}\\p{Nd}"},
            {"digit", "\\p{Nd}"},         {"upper", "\\p{Uppercase}"},
            {"lower", "\\p{Lowercase}"},  {"punct", "\\p{P}\\p{S}"},
            {"space", white_space},       {"blank", "\\p{Zs}\\t"},
            {"cntrl", "\\p{Cc}"},         {"xdigit", "0-9A-Fa-f"},
            {"word", word_characters},
        };
        for (const auto& [known, members] : classes) {
            if (name == known) {
                out_ += members;
                at_ = end + 2;
                return;
            }
        }
        refuse("the class '[:" + std::string(name) + "'");
    }

    void class_escape() {
        if (at_ + 1 >= in_.size()) {
            refuse("a class without its ']'");
        }
        const char c = in_[at_ + 1];
        at_ += 2;
        switch (c) {
        case 's':
            out_ += white_space;
            break;
        case 'S':
            out_ += "\\P{White_Space}";
            break;
        case 'w':
            out_ += word_characters;
            break;
        case 'h':
            out_ += "0-9A-Fa-f";
            break;
        case 'b':
            out_ += "\\x{08}";
            break;
        default:
            shared_escape(c);
        }
    }

    std::string_view in_;
    std::string out_;
    std::size_t at_ = 0;
    std::size_t atom_ = 0;            // where in out_ the last atom starts
    std::vector<std::size_t> groups_; // where in out_ each open group starts
};

} // namespace

std::string translate_regex(std::string_view pattern) {
    return Translator(pattern).run();
}

std::string escape_regex(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80 && !std::isalnum(byte)) {
            out += '\\'; // before any character that is neither a letter nor a digit it quotes
        }
        out += c;
    }
    return out;
}

std::string white_space_pattern() {
    return "[" + std::string(white_space) + "]";
}

std::string punctuation_pattern() {
    return "[\\p{P}$+<=>^`|~]";
}

// As Rust's regular expressions have \w, which knows the join controls and no numbers but decimal digits.
std::string word_or_symbols_pattern() {
    const std::string word = std::string(word_characters) + "\\x{200C}\\x{200D}";
    return "[" + word + "]+|[^" + word + std::string(white_space) + "]+";
}

} // namespace ergo
