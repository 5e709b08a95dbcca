// SPDX-License-Identifier: GPL-3.0-or-later
// Python's % on strings: %s %r %d %i %x %X %o %e %f %g %c %%, with flags, width and precision, and %(name)s.
#include "engine/base/utf8.h"
#include "engine/template/python_string.h"
#include "engine/template/runtime.h"

#include <algorithm>
#include <cstdio>

namespace ergo::jinja {

namespace {

class Formatter {
  public:
    Formatter(TemplateRuntime& runtime, const SourcedText& format, const TemplateValue& arguments)
        : runtime_(runtime), format_(format), arguments_(arguments) {}

    SourcedText run() {
        const std::string& bytes = format_.bytes();
        std::size_t begin = 0;
        for (std::size_t at = bytes.find('%'); at != std::string::npos; at = bytes.find('%', begin)) {
            out_.append(format_, begin, at);
            at_ = at + 1;
            conversion();
            begin = at_;
            if (out_.size() > TemplateBudget::most_output) {
                runtime_.budget.length(out_.size());
            }
        }
        out_.append(format_, begin, format_.size());
        if (!named_ && arguments_.is_tuple() && next_ < arguments_.items().size()) {
            template_failure("not all arguments are used by the format '%'");
        }
        if (!named_ && next_ == 0 && !arguments_.is_tuple() && !arguments_.is_map()) {
            template_failure("not all arguments are used by the format '%'");
        }
        return std::move(out_);
    }

  private:
    char peek() const {
        if (at_ >= format_.size()) {
            template_failure("the format ends within a '%'");
        }
        return format_.bytes()[at_];
    }

    TemplateValue argument(const std::string& name) {
        if (!name.empty()) {
            named_ = true;
            if (!arguments_.is_map()) {
                template_failure("the format names an argument, but no dictionary is given");
            }
            const TemplateValue* found = arguments_.map().find(std::string_view(name));
            if (!found) {
                template_failure("the format has no argument named '" + name + "'");
            }
            return *found;
        }
        if (arguments_.is_tuple() ? next_ >= arguments_.items().size() : next_ > 0) {
            template_failure("the format has more places than arguments");
        }
        const std::size_t index = next_++;
        return arguments_.is_tuple() ? arguments_.items()[index] : arguments_;
    }

    int number() {
        int value = -1;
        while (peek() >= '0' && peek() <= '9') {
            value = std::max(0, value) * 10 + (peek() - '0');
            if (value > 10000) {
                template_failure("the format has a width or precision above 10000");
            }
            ++at_;
        }
        return value;
    }

    void conversion() {
        std::string name;
        if (peek() == '(') {
            const std::size_t end = format_.bytes().find(')', at_);
            if (end == std::string::npos) {
                template_failure("the format names an argument without ')'");
            }
            name = format_.bytes().substr(at_ + 1, end - at_ - 1);
            at_ = end + 1;
        }
        std::string flags;
        while (std::string_view("-+ #0").find(peek()) != std::string_view::npos) {
            flags += format_.bytes()[at_++];
        }
        const int width = number();
        int precision = -1;
        if (peek() == '.') {
            ++at_;
            precision = std::max(0, number());
        }
        const char kind = peek();
        ++at_;
        if (kind == '%') {
            out_.append("%", template_source);
            return;
        }
        const TemplateValue value = argument(name);
        if (value.is_undefined() && kind != 's' && kind != 'r') {
            template_failure(value.why_undefined());
        }
        fill(converted(kind, value, flags, precision), flags, width, kind);
    }

    static SourcedText converted(char kind, const TemplateValue& value, const std::string& flags,
                                 int precision) {
        if (kind == 's' || kind == 'r') {
            SourcedText text = kind == 's' ? to_text(value) : to_repr(value);
            if (precision >= 0) {
                text = text.slice(0, byte_of_character(text.bytes(), static_cast<std::size_t>(precision)));
            }
            return text;
        }
        if (kind == 'c' && value.is_text() && count_characters(value.bytes()) == 1) {
            return value.text();
        }
        const bool whole = std::string_view("diuxXo").find(kind) != std::string_view::npos;
        if ((!whole && std::string_view("eEfFgG").find(kind) == std::string_view::npos) ||
            !value.is_number()) {
            template_failure(std::string("the format '%") + kind + "' does not fit a value of type '" +
                             type_name(value) + "'");
        }
        std::string pattern = "%";
        for (const char flag : flags) {
            pattern += flag == '-' || flag == '0' ? "" : std::string(1, flag); // filling comes later
        }
        pattern += precision >= 0 ? "." + std::to_string(precision) : "";
        std::string buffer(static_cast<std::size_t>(std::max(precision, 0)) + 400, '\0');
        int length = 0;
        if (whole) {
            const auto number = static_cast<long long>(
                value.is_whole() ? value.whole() : static_cast<std::int64_t>(value.real()));
            const bool hexadecimal = kind == 'x' || kind == 'X' || kind == 'o';
            const unsigned long long size = number < 0 ? 0ULL - static_cast<unsigned long long>(number)
                                                       : static_cast<unsigned long long>(number);
            pattern += std::string("ll") + (kind == 'i' || kind == 'u' ? 'd' : kind);
            length = hexadecimal ? std::snprintf(buffer.data(), buffer.size(), pattern.c_str(), size)
                                 : std::snprintf(buffer.data(), buffer.size(), pattern.c_str(), number);
            if (hexadecimal && number < 0) {
                return SourcedText("-" + buffer.substr(0, static_cast<std::size_t>(length)));
            }
        } else {
            pattern += kind;
            length = std::snprintf(buffer.data(), buffer.size(), pattern.c_str(), value.real());
        }
        return SourcedText(buffer.substr(0, static_cast<std::size_t>(std::max(0, length))));
    }

    void fill(const SourcedText& text, const std::string& flags, int width, char kind) {
        const auto missing =
            std::max<std::int64_t>(0, width - static_cast<std::int64_t>(count_characters(text.bytes())));
        const bool left = flags.find('-') != std::string::npos;
        const bool zeros = !left && flags.find('0') != std::string::npos && kind != 's' && kind != 'r';
        const std::string filler(static_cast<std::size_t>(missing), zeros ? '0' : ' ');
        const bool sign = zeros && !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+');
        out_.append(text, 0, sign ? 1 : 0);
        out_.append(left ? "" : filler, template_source);
        out_.append(text, sign ? 1 : 0, text.size());
        out_.append(left ? filler : "", template_source);
    }

    TemplateRuntime& runtime_;
    const SourcedText& format_;
    const TemplateValue& arguments_;
    SourcedText out_;
    std::size_t at_ = 0, next_ = 0; // in the format; of the arguments
    bool named_ = false;
};

} // namespace

SourcedText format_percent(TemplateRuntime& runtime, const SourcedText& format,
                           const TemplateValue& arguments) {
    return Formatter(runtime, format, arguments).run();
}

} // namespace ergo::jinja
