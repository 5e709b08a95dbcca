// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/template/template.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/template/evaluator.h"
#include "engine/template/parser.h"

namespace ergo::jinja {

namespace {

[[noreturn]] void rethrow(const TemplateProblem& problem, const std::string& name) {
    const bool limit = std::string_view(problem.code) == "CT-LIMIT";
    throw Error(limit ? ErrorKind::resources : ErrorKind::format,
                "line " + std::to_string(problem.line) + ": " + problem.message + ".",
                {.code = problem.code, .file = name});
}

} // namespace

Template::Template() = default;
Template::~Template() = default;

std::shared_ptr<const Template> Template::parse(std::string_view source, std::string name) {
    if (source.size() > most_bytes) {
        throw Error(ErrorKind::resources,
                    "the template has " + std::to_string(source.size()) + " bytes; the limit is " +
                        std::to_string(most_bytes) + ".",
                    {.code = "CT-LIMIT", .file = name});
    }
    if (!is_valid_utf8(source)) {
        throw Error(ErrorKind::format, "the template is no valid UTF-8.",
                    {.code = "CT-SYNTAX", .file = name});
    }
    const std::shared_ptr<Template> made(new Template);
    try {
        made->body_ = parse_template(cut_template(source));
    } catch (const TemplateProblem& problem) {
        rethrow(problem, name);
    }
    made->name_ = std::move(name);
    return made;
}

SourcedText Template::render(const TemplateMap& context, std::time_t now) const {
    Evaluator evaluator(context, now);
    try {
        return evaluator.run(body_);
    } catch (const TemplateProblem& problem) {
        rethrow(problem, name_);
    }
}

} // namespace ergo::jinja
