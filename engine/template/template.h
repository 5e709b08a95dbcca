// SPDX-License-Identifier: GPL-3.0-or-later
// Jinja templates as chat templates use them (README.md in this folder lists what is supported). A Template
// is immutable once parsed and may be shared; rendering needs nothing but the given values and time, and its
// result tells which bytes came from where.
#pragma once

#include "engine/template/value.h"

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

namespace ergo::jinja {

namespace syntax {
struct Statement;
}

class Template {
  public:
    static constexpr std::size_t most_bytes = std::size_t{1} << 20;

    /// `name` is what errors call the template. Throws Error: `format` CT-SYNTAX, `resources` CT-LIMIT; the
    /// message says the line.
    static std::shared_ptr<const Template> parse(std::string_view source, std::string name);

    ~Template();
    Template(const Template&) = delete;
    Template& operator=(const Template&) = delete;

    /// `context`: the variables. `now`: seconds since 1970, for strftime_now. Throws Error: `format`
    /// CT-RUNTIME, also with what raise_exception was given; `resources` CT-LIMIT.
    SourcedText render(const TemplateMap& context, std::time_t now) const;

  private:
    Template();
    std::vector<syntax::Statement> body_;
    std::string name_;
};

/// A JSON text as a value; its strings get `source`. Objects keep their order. Throws Error(format, F-JSON).
TemplateValue value_from_json(std::string_view text, const std::string& file_name, TextSource source);

} // namespace ergo::jinja
