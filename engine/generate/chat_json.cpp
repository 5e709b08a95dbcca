// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/chat_json.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/template/template.h"

#include <algorithm>

namespace ergo {

using jinja::TemplateList;
using jinja::TemplateMap;
using jinja::TemplateValue;
using jinja::TextSource;

namespace {

constexpr TextSource first_content = 2;

TemplateValue as_value(TemplateMap map) {
    return TemplateValue(std::make_shared<const TemplateMap>(std::move(map)));
}

[[noreturn]] void refuse(const std::string& what, const std::string& file_name) {
    throw Error(ErrorKind::format, what, {.file = file_name});
}

// The same value with all its strings from `source`.
TemplateValue with_source(const TemplateValue& value, TextSource source) {
    if (value.is_text()) {
        return TemplateValue::text(value.bytes(), source);
    }
    if (value.is_list()) {
        TemplateList items;
        for (const TemplateValue& item : value.items()) {
            items.push_back(with_source(item, source));
        }
        return TemplateValue::list(std::move(items));
    }
    if (value.is_map()) {
        TemplateMap map;
        for (const auto& [key, item] : value.map().entries()) {
            map.set(key, with_source(item, source));
        }
        return as_value(std::move(map));
    }
    return value;
}

// A usual role counts as the template's own text: some templates make a marker of it, '<|' + role + '|>'.
TextSource role_source(const std::string& role) {
    static constexpr std::string_view usual[] = {"system",    "user",       "assistant", "tool",
                                                 "developer", "function",   "ipython",   "tool_results",
                                                 "model",     "observation"};
    return std::find(std::begin(usual), std::end(usual), role) != std::end(usual) ? jinja::template_source
                                                                                  : other_data;
}

TemplateValue read_message(const TemplateValue& message, std::size_t index, const std::string& file_name) {
    const std::string name = "message " + std::to_string(index + 1);
    if (!message.is_map()) {
        refuse(name + " is not an object with 'role' and 'content'.", file_name);
    }
    const TemplateValue* role = message.map().find(std::string_view("role"));
    if (!role || !role->is_text() || role->text().empty()) {
        refuse(name + " has no 'role' (a text such as \"user\").", file_name);
    }
    TemplateMap out;
    for (const auto& [key, value] : message.map().entries()) {
        out.set(key, key.bytes() == "content" ? with_source(value, content_source(index)) : value);
    }
    out.set(TemplateValue::text("role"), TemplateValue::text(role->bytes(), role_source(role->bytes())));
    const TemplateValue* content = out.find(std::string_view("content"));
    if (content && !content->is_text() && !content->is_list() && !content->is_none()) {
        refuse(name + " has a 'content' that is neither text nor a list of parts.", file_name);
    }
    if (!content && out.entries().size() == 1) {
        refuse(name + " has no 'content'.", file_name);
    }
    return as_value(std::move(out));
}

} // namespace

TextSource content_source(std::size_t index) {
    return first_content + static_cast<TextSource>(index);
}

std::optional<std::size_t> content_index(TextSource source) {
    return source < first_content ? std::nullopt
                                  : std::optional(static_cast<std::size_t>(source - first_content));
}

const char* role_name(Role role) {
    constexpr const char* names[] = {"system", "user", "assistant"};
    return names[static_cast<std::size_t>(role)];
}

TemplateMap context_of(const std::vector<ChatMessage>& messages) {
    TemplateList list;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const std::string& text = messages[i].text;
        TemplateMap message;
        message.set(TemplateValue::text("role"), TemplateValue::text(role_name(messages[i].role)));
        message.set(
            TemplateValue::text("content"),
            TemplateValue::text(is_valid_utf8(text) ? text : replace_invalid_utf8(text), content_source(i)));
        list.push_back(as_value(std::move(message)));
    }
    TemplateMap context;
    context.set(TemplateValue::text("messages"), TemplateValue::list(std::move(list)));
    return context;
}

TemplateMap read_conversation(std::string_view json, const std::string& file_name) {
    const TemplateValue document = jinja::value_from_json(json, file_name, other_data);
    const TemplateValue* messages = &document;
    if (document.is_map()) {
        messages = document.map().find(std::string_view("messages"));
    }
    if (!messages || !messages->is_list()) {
        refuse("the file must hold a list of messages [{\"role\": …, \"content\": …}, …], or an object whose "
               "'messages' is one.",
               file_name);
    }
    if (messages->items().empty()) {
        refuse("the list of messages is empty.", file_name);
    }
    TemplateList list;
    for (std::size_t i = 0; i < messages->items().size(); ++i) {
        list.push_back(read_message(messages->items()[i], i, file_name));
    }
    TemplateMap context;
    if (document.is_map()) {
        context = document.map();
    }
    context.set(TemplateValue::text("messages"), TemplateValue::list(std::move(list)));
    return context;
}

std::vector<ChatMessage> plain_messages(const TemplateMap& context, const std::string& format,
                                        const std::string& file_name) {
    std::vector<ChatMessage> messages;
    for (const TemplateValue& item : context.find(std::string_view("messages"))->items()) {
        const std::string name = "message " + std::to_string(messages.size() + 1);
        const std::string& role = item.map().find(std::string_view("role"))->bytes();
        const TemplateValue* content = item.map().find(std::string_view("content"));
        if (!content || !content->is_text()) {
            refuse(name + " has no text as 'content', which the format " + format + " needs.", file_name);
        }
        ChatMessage message{Role::user, content->bytes(), {}};
        bool known = false;
        for (const Role candidate : {Role::system, Role::user, Role::assistant}) {
            if (role == role_name(candidate)) {
                message.role = candidate;
                known = true;
            }
        }
        if (!known) {
            refuse(name + " has the role '" + printable(role, 40) + "'; the format " + format +
                       " knows system, user and assistant.",
                   file_name);
        }
        messages.push_back(std::move(message));
    }
    return messages;
}

} // namespace ergo
