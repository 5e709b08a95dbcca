// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/schema.h"

#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/mapped_file.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <utility>

namespace ergo {

namespace {

using nlohmann::json;

constexpr std::size_t max_tensors = 100'000;
constexpr int max_depth = 16;
constexpr std::uint64_t max_file_bytes = 4 << 20;

/// A tensor template, or a scope: a list of items, or a group, with prefixes, conditions and bindings.
struct Item {
    std::string name, role;
    std::optional<std::string> component;
    Expression when;
    std::vector<std::pair<std::string, Expression>> let;
    std::string loop; // variable of "for", "" without a loop
    Expression loop_count;
    std::vector<Expression> shape; // a tensor
    std::string group;             // a scope over a group …
    std::vector<Item> items;       // … or over items of its own
    bool is_scope = false;
};

} // namespace

struct Schema::Table {
    std::vector<std::pair<std::string, Expression>> defaults, derived;
    std::map<std::string, std::vector<std::string>> choices;
    std::map<std::string, std::vector<Item>> groups;
    std::vector<Item> tensors;
};

namespace {

class SchemaReader {
  public:
    explicit SchemaReader(const std::string& file) : file_(file) {}

    [[noreturn]] void fail(const std::string& what) const {
        throw Error(ErrorKind::format, what,
                    {.code = "SCHEMA-FORMAT", .file = file_, .advice = "Correct the schema file."});
    }

    const std::string& text(const json& value, const std::string& what) const {
        if (!value.is_string()) {
            fail(what + " must be a text.");
        }
        return value.get_ref<const std::string&>();
    }

    void only(const json& object, const std::set<std::string>& allowed, const std::string& what) const {
        if (!object.is_object()) {
            fail(what + " must be an object.");
        }
        for (const auto& [key, value] : object.items()) {
            if (!allowed.contains(key)) {
                fail(what + " has the unknown member '" + printable(key) + "'.");
            }
        }
    }

    Expression expression(const json& value, const std::string& what) const {
        try {
            if (value.is_number_integer() && value.get<std::int64_t>() >= 0) {
                return Expression::parse(std::to_string(value.get<std::int64_t>()));
            }
            if (value.is_boolean()) {
                return Expression::parse(value.get<bool>() ? "true" : "false");
            }
            return Expression::parse(text(value, what));
        } catch (const Error& e) {
            if (!e.where().file.empty()) {
                throw;
            }
            ErrorWhere where = e.where();
            where.file = file_;
            throw Error(e.kind(), e.message(), where);
        }
    }

    std::vector<std::pair<std::string, Expression>> bindings(const json& list,
                                                             const std::string& what) const {
        // an array of one-member objects keeps its order, which matters because later ones may use earlier
        // ones
        std::vector<std::pair<std::string, Expression>> found;
        if (list.is_object()) {
            for (const auto& [name, value] : list.items()) {
                found.emplace_back(name, expression(value, what));
            }
            return found;
        }
        if (!list.is_array()) {
            fail(what + " must be an object or a list of objects.");
        }
        for (const json& one : list) {
            if (!one.is_object()) {
                fail(what + " must be a list of objects.");
            }
            for (const auto& [name, value] : one.items()) {
                found.emplace_back(name, expression(value, what));
            }
        }
        return found;
    }

    std::vector<Item> items(const json& list, int depth) const {
        if (!list.is_array() || depth > max_depth) {
            fail("a list of tensors is not a list, or nested too deep.");
        }
        std::vector<Item> found;
        for (const json& one : list) {
            found.push_back(item(one, depth));
        }
        return found;
    }

    Value constant(const json& value, const std::string& what) const {
        if (value.is_boolean()) {
            return value.get<bool>();
        }
        if (value.is_number_integer()) {
            return value.get<std::int64_t>();
        }
        if (value.is_number_float()) {
            return value.get<double>();
        }
        return text(value, what);
    }

  private:
    Item item(const json& object, int depth) const {
        only(object, {"name", "role", "component", "when", "let", "for", "shape", "group", "tensors"},
             "a tensor");
        const int kinds = static_cast<int>(object.contains("shape")) +
                          static_cast<int>(object.contains("group")) +
                          static_cast<int>(object.contains("tensors"));
        if (kinds != 1) {
            fail("a tensor needs exactly one of \"shape\", \"group\" and \"tensors\".");
        }
        Item found;
        found.name = object.contains("name") ? text(object["name"], "a name") : "";
        found.role = object.contains("role") ? text(object["role"], "a role") : "";
        if (object.contains("component")) {
            found.component = text(object["component"], "a component");
        }
        if (object.contains("when")) {
            found.when = expression(object["when"], "a condition");
        }
        if (object.contains("let")) {
            found.let = bindings(object["let"], "\"let\"");
        }
        if (object.contains("for")) {
            const auto loops = bindings(object["for"], "\"for\"");
            if (loops.size() != 1) {
                fail("\"for\" needs exactly one variable.");
            }
            found.loop = loops[0].first;
            found.loop_count = loops[0].second;
        }
        if (object.contains("shape")) {
            shape(object["shape"], found);
        } else {
            found.is_scope = true;
            if (object.contains("group")) {
                found.group = text(object["group"], "a group");
            } else {
                found.items = items(object["tensors"], depth + 1);
            }
        }
        return found;
    }

    void shape(const json& list, Item& to) const {
        if (!list.is_array() || list.size() > 8) {
            fail("the shape of '" + printable(to.name) + "' is not a list of at most 8 sizes.");
        }
        for (const json& size : list) {
            to.shape.push_back(expression(size, "a size"));
        }
    }

    const std::string& file_;
};

/// Walks the items with the variables in force.
class Expander {
  public:
    Expander(const Schema::Table& table, const std::string& schema) : table_(table), schema_(schema) {}

    std::vector<SchemaTensor> run(Variables variables) {
        variables_ = std::move(variables);
        for (const auto& [name, expression] : table_.defaults) {
            if (!variables_.contains(name)) {
                variables_.emplace(name, expression.evaluate(lookup()));
            }
        }
        check_choices();
        for (const auto& [name, expression] : table_.derived) {
            variables_.insert_or_assign(name, expression.evaluate(lookup()));
        }
        walk(table_.tensors, "", "", "", 0);
        return std::move(found_);
    }

  private:
    Expression::Lookup lookup() const {
        return [this](const std::string& name) -> const Value* {
            const auto at = variables_.find(name);
            return at == variables_.end() ? nullptr : &at->second;
        };
    }

    [[noreturn]] void fail(const char* code, const std::string& what) const {
        throw Error(ErrorKind::usage, "schema " + schema_ + ": " + what, {.code = code});
    }

    void check_choices() const {
        for (const auto& [name, allowed] : table_.choices) {
            const auto at = variables_.find(name);
            const auto* value = at == variables_.end() ? nullptr : std::get_if<std::string>(&at->second);
            if (!value || std::find(allowed.begin(), allowed.end(), *value) == allowed.end()) {
                std::string list;
                for (const std::string& one : allowed) {
                    list += " " + one;
                }
                fail("SCHEMA-VALUE", printable(name) + " is " +
                                         (at == variables_.end() ? "absent" : to_string(at->second)) +
                                         "; the choices are" + list + ".");
            }
        }
    }

    /// "{l}" replaced by the value of l.
    std::string filled(const std::string& pattern) const {
        std::string text;
        for (std::size_t at = 0; at < pattern.size();) {
            const std::size_t open = pattern.find('{', at), close = pattern.find('}', open);
            if (open == std::string::npos || close == std::string::npos) {
                return text + pattern.substr(at);
            }
            const std::string name = pattern.substr(open + 1, close - open - 1);
            const auto found = variables_.find(name);
            const auto* number =
                found == variables_.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
            if (!number) {
                fail("SCHEMA-EXPRESSION",
                     "\"" + printable(pattern) + "\" needs an integer '" + printable(name) + "'.");
            }
            text += pattern.substr(at, open - at) + std::to_string(*number);
            at = close + 1;
        }
        return text;
    }

    void walk(const std::vector<Item>& items, const std::string& name, const std::string& role,
              const std::string& component, int depth) {
        if (depth > max_depth) {
            fail("SCHEMA-SIZE", "groups are nested too deep.");
        }
        for (const Item& item : items) {
            if (item.loop.empty()) {
                visit(item, name, role, component, depth);
                continue;
            }
            const std::int64_t count = item.loop_count.evaluate_size(lookup());
            if (count > static_cast<std::int64_t>(max_tensors)) {
                fail("SCHEMA-SIZE", "a loop of " + std::to_string(count) + " rounds is too long.");
            }
            const Shadow shadow(variables_, item.loop);
            for (std::int64_t i = 0; i < count; ++i) {
                variables_.insert_or_assign(item.loop, i);
                visit(item, name, role, component, depth);
            }
        }
    }

    void visit(const Item& item, const std::string& name, const std::string& role,
               const std::string& component, int depth) {
        if (!item.when.evaluate_bool(lookup())) {
            return;
        }
        if (++steps_ > 4 * max_tensors) {
            fail("SCHEMA-SIZE", "it describes too many tensors.");
        }
        // the values are worked out before any is bound, so that {"heads": "lm_heads"} cannot see itself
        Variables bound;
        for (const auto& [variable, expression] : item.let) {
            bound.insert_or_assign(variable, expression.evaluate(lookup()));
        }
        std::vector<Shadow> shadows;
        shadows.reserve(bound.size());
        for (auto& [variable, value] : bound) {
            shadows.emplace_back(variables_, variable);
            variables_.insert_or_assign(variable, std::move(value));
        }
        const std::string full_name = name + filled(item.name), full_role = role + filled(item.role);
        const std::string& part = item.component ? *item.component : component;
        if (!item.is_scope) {
            emit(item, full_name, full_role, part);
        } else {
            walk(item.group.empty() ? item.items : group(item.group), full_name, full_role, part, depth + 1);
        }
    }

    const std::vector<Item>& group(const std::string& name) const {
        const auto found = table_.groups.find(name);
        if (found == table_.groups.end()) {
            fail("SCHEMA-FORMAT", "there is no group '" + printable(name) + "'.");
        }
        return found->second;
    }

    void emit(const Item& item, const std::string& name, const std::string& role,
              const std::string& component) {
        if (found_.size() >= max_tensors) {
            fail("SCHEMA-SIZE", "it describes more than " + std::to_string(max_tensors) + " tensors.");
        }
        if (!names_.insert(name).second || !roles_.insert(role).second) {
            fail("SCHEMA-FORMAT",
                 "tensor '" + printable(name) + "' or role '" + printable(role) + "' occurs twice.");
        }
        SchemaTensor tensor{name, {}, role, component};
        for (const Expression& size : item.shape) {
            tensor.shape.push_back(size.evaluate_size(lookup()));
        }
        found_.push_back(std::move(tensor));
    }

    /// Restores a variable that a loop or a binding hides.
    class Shadow {
      public:
        Shadow(Variables& variables, const std::string& name) : variables_(&variables), name_(name) {
            if (const auto at = variables.find(name); at != variables.end()) {
                before_ = at->second;
            }
        }
        Shadow(Shadow&& other) noexcept
            : variables_(std::exchange(other.variables_, nullptr)), name_(std::move(other.name_)),
              before_(std::move(other.before_)) {}
        Shadow& operator=(Shadow&&) = delete;
        ~Shadow() {
            if (variables_ && before_) {
                variables_->insert_or_assign(name_, *std::move(before_));
            } else if (variables_) {
                variables_->erase(name_);
            }
        }

      private:
        Variables* variables_;
        std::string name_;
        std::optional<Value> before_;
    };

    const Schema::Table& table_;
    const std::string& schema_;
    Variables variables_;
    std::vector<SchemaTensor> found_;
    std::set<std::string> names_, roles_;
    std::size_t steps_ = 0;
};

std::shared_ptr<const Schema::Table> read_table(const SchemaReader& reader, const json& document) {
    auto table = std::make_shared<Schema::Table>();
    if (document.contains("defaults")) {
        table->defaults = reader.bindings(document["defaults"], "\"defaults\"");
    }
    if (document.contains("derived")) {
        table->derived = reader.bindings(document["derived"], "\"derived\"");
    }
    if (document.contains("choices")) {
        reader.only(
            document["choices"],
            [&] {
                std::set<std::string> any;
                for (const auto& [key, value] : document["choices"].items()) {
                    any.insert(key);
                }
                return any;
            }(),
            "\"choices\"");
        for (const auto& [name, list] : document["choices"].items()) {
            if (!list.is_array()) {
                reader.fail("the choices of '" + printable(name) + "' are not a list.");
            }
            for (const json& one : list) {
                table->choices[name].push_back(reader.text(one, "a choice"));
            }
        }
    }
    if (document.contains("groups")) {
        if (!document["groups"].is_object()) {
            reader.fail("\"groups\" must be an object.");
        }
        for (const auto& [name, list] : document["groups"].items()) {
            table->groups.emplace(name, reader.items(list, 0));
        }
    }
    table->tensors = reader.items(document["tensors"], 0);
    return table;
}

json parse_json(std::string_view text, const std::string& file) {
    if (text.size() > max_file_bytes) {
        throw Error(ErrorKind::resources,
                    "a schema of " + std::to_string(text.size()) + " bytes is too large.",
                    {.code = "F-TOO-LARGE", .file = file});
    }
    return parse_document(text, file);
}

/// Parses in an order in which every base comes before the schemas that extend it.
/// A wrong file is thrown, or left out and put into `faulty`.
void parse_all(std::vector<std::pair<std::string, json>> files, std::vector<Schema>& known,
               std::vector<Error>* faulty = nullptr) {
    const auto wrong = [faulty](const Error& error) {
        if (!faulty) {
            throw error;
        }
        faulty->push_back(error);
    };
    const auto member = [](const json& document, const char* name) {
        return document.is_object() ? document.value(name, json()) : json();
    };
    while (!files.empty()) {
        const auto ready = std::find_if(files.begin(), files.end(), [&](const auto& file) {
            const json base = member(file.second, "extends");
            return base.is_null() || std::none_of(files.begin(), files.end(), [&](const auto& other) {
                       return &other != &file && member(other.second, "name") == base;
                   });
        });
        if (ready == files.end()) {
            wrong(Error(
                ErrorKind::format, "schemas extend each other in a circle.",
                {.code = "SCHEMA-FORMAT", .file = files[0].first, .advice = "Correct the schema file."}));
            return; // none of them can be read
        }
        try {
            known.push_back(Schema::parse(ready->second.dump(), ready->first, known));
        } catch (const Error& error) {
            wrong(error);
        }
        files.erase(ready);
    }
}

} // namespace

Schema Schema::parse(std::string_view text, const std::string& file_name, const std::vector<Schema>& bases) {
    const SchemaReader reader(file_name);
    const json document = parse_json(text, file_name);
    reader.only(document,
                {"format", "version", "name", "family", "title", "comment", "extends", "knobs", "choices",
                 "defaults", "derived", "groups", "tensors"},
                "the schema");
    if (document.value("format", json()) != "ergosphere-schema" || document.value("version", json()) != 1) {
        reader.fail("this is not an Ergosphere schema of version 1.");
    }
    Schema schema;
    schema.name_ = reader.text(document.value("name", json()), "\"name\"");
    schema.family_ = reader.text(document.value("family", json()), "\"family\"");
    schema.title_ = document.contains("title") ? reader.text(document["title"], "\"title\"") : schema.name_;
    if (document.contains("extends")) {
        const std::string& wanted = reader.text(document["extends"], "\"extends\"");
        // the last one wins: a user's schema replaces a built-in one of that name
        const auto base =
            std::find_if(bases.rbegin(), bases.rend(), [&](const Schema& s) { return s.name() == wanted; });
        if (base == bases.rend() || document.contains("tensors") || document.contains("groups")) {
            reader.fail("it extends '" + printable(wanted) +
                        "', which is not known, or has tensors of its own as well.");
        }
        schema.table_ = base->table_;
        schema.knobs_ = base->knobs_;
    } else if (document.contains("tensors")) {
        schema.table_ = read_table(reader, document);
    } else {
        reader.fail("it has neither \"tensors\" nor \"extends\".");
    }
    if (document.contains("knobs")) {
        if (!document["knobs"].is_object()) {
            reader.fail("\"knobs\" must be an object.");
        }
        for (const auto& [name, value] : document["knobs"].items()) {
            schema.knobs_.insert_or_assign(name, reader.constant(value, "a knob"));
        }
    }
    return schema;
}

std::vector<SchemaTensor> Schema::expand(const Variables& variables) const {
    Variables all = variables;
    all.insert(knobs_.begin(), knobs_.end()); // keeps what is there
    return Expander(*table_, name_).run(std::move(all));
}

std::vector<Schema> builtin_schemas(const std::filesystem::path& user_folder, std::vector<Error>* faulty) {
    std::vector<std::pair<std::string, json>> files;
    for (const EmbeddedFile& file : embedded_below("schemas/")) {
        const std::string name(file.path.substr(file.path.rfind('/') + 1));
        files.emplace_back(name, parse_json(file.text(), name));
    }
    std::vector<Schema> schemas;
    parse_all(std::move(files), schemas);

    std::error_code error;
    std::vector<std::filesystem::path> paths;
    if (!user_folder.empty()) {
        for (std::filesystem::directory_iterator it(user_folder, error), end; !error && it != end;
             it.increment(error)) {
            if (it->path().extension() == ".json") {
                paths.push_back(it->path());
            }
        }
    }
    std::sort(paths.begin(), paths.end());
    files.clear();
    for (const auto& path : paths) {
        const std::string name = printable(path.filename().string());
        try {
            files.emplace_back(name, parse_json(read_text_file(path, max_file_bytes), name));
        } catch (const Error& unreadable) {
            if (!faulty) {
                throw;
            }
            faulty->push_back(unreadable);
        }
    }
    parse_all(std::move(files), schemas, faulty);

    std::map<std::string, Schema> by_name;
    for (Schema& schema : schemas) {
        by_name.insert_or_assign(schema.name(), std::move(schema));
    }
    schemas.clear();
    for (auto& [name, schema] : by_name) {
        schemas.push_back(std::move(schema));
    }
    return schemas;
}

std::filesystem::path user_schema_folder() {
    const char* config = std::getenv("XDG_CONFIG_HOME");
    const char* home = std::getenv("HOME");
    std::filesystem::path folder;
    if (config && *config == '/') {
        folder = config;
    } else if (home && *home == '/') {
        folder = std::filesystem::path(home) / ".config";
    } else {
        return {};
    }
    folder = folder / "ergosphere" / "schemas";
    std::error_code ignored;
    return std::filesystem::is_directory(folder, ignored) ? folder : std::filesystem::path();
}

std::filesystem::path checked_schema_folder(const std::filesystem::path& folder) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder, ignored)) {
        throw Error(ErrorKind::io, "the folder of schemas '" + printable(folder.string()) + "' is not there.",
                    {.code = "F-IO"});
    }
    return folder;
}

const Schema& find_schema(const std::vector<Schema>& schemas, const std::string& name) {
    std::string names;
    for (const Schema& schema : schemas) {
        if (schema.name() == name) {
            return schema;
        }
        names += (names.empty() ? "" : ", ") + schema.name();
    }
    throw Error(ErrorKind::usage, "there is no schema '" + printable(name) + "'.",
                {.code = "SCHEMA-VALUE", .advice = "The schemas are: " + names + "."});
}

} // namespace ergo
