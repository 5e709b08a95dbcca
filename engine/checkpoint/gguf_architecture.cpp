// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/gguf_architecture.h"

#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/base/utf8.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ergo {

namespace {

using nlohmann::json;

constexpr std::string_view folder = "gguf/", block = "{i}";
constexpr const char* get_complete = "Get a complete GGUF of the model.";

std::string known_architectures() {
    std::string names;
    for (const EmbeddedFile& file : embedded_below(folder)) {
        const auto name = file.path.substr(folder.size(), file.path.rfind('.') - folder.size());
        names += (names.empty() ? "" : ", ") + std::string(name);
    }
    return names;
}

/// "blk.12.attn_q.weight" is "blk.{i}.attn_q.weight" with i = "12"; i is empty without a whole number in it.
struct Numbered {
    std::string pattern;
    std::string_view number;
};

Numbered numbered(std::string_view name) {
    for (std::size_t at = 0; at <= name.size();) {
        const std::size_t end = std::min(name.find('.', at), name.size());
        const std::string_view part = name.substr(at, end - at);
        const bool digits =
            !part.empty() && part.size() <= 9 && (part == "0" || part[0] != '0') &&
            std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (digits) {
            return {std::string(name.substr(0, at)).append(block).append(name.substr(end)), part};
        }
        at = end + 1;
    }
    return {std::string(name), {}};
}

const GgufEntry* find_tensor(const std::vector<GgufFile>& parts, const std::string& name) {
    for (const GgufFile& part : parts) {
        if (const GgufEntry* entry = part.find(name)) {
            return entry;
        }
    }
    return nullptr;
}

[[noreturn]] void missing(const std::string& file, const std::string& what) {
    throw Error(ErrorKind::format, "the file has no " + what + ".",
                {.code = "F-CONFIG-MISSING", .file = file, .advice = get_complete});
}

std::int64_t rows_of(const std::vector<GgufFile>& parts, const std::string& tensor) {
    const GgufEntry* entry = find_tensor(parts, tensor);
    if (!entry || entry->shape.empty()) {
        missing(parts[0].file_name, "tensor '" + tensor + "' with rows");
    }
    return entry->shape[0];
}

/// "a.b" of nested objects.
json& member_at(json& object, std::string_view name) {
    const std::size_t dot = name.find('.');
    json& member = object[std::string(name.substr(0, dot))];
    return dot == std::string_view::npos ? member : member_at(member, name.substr(dot + 1));
}

std::string checked_text(std::string_view text, const std::string& key, const std::string& file) {
    if (!is_valid_utf8(text)) {
        throw Error(ErrorKind::format, "the metadata '" + key + "' is not UTF-8.",
                    {.code = "F-CONFIG-VALUE", .file = file});
    }
    return std::string(text);
}

} // namespace

GgufArchitecture GgufArchitecture::of(const TypedMetadata& metadata) {
    const auto name = metadata.text("general.architecture");
    if (!name) {
        missing(metadata.file_name(), "'general.architecture' in its metadata");
    }
    const std::string_view type = metadata.text("general.type").value_or("model");
    const EmbeddedFile* file =
        type == "model" ? find_embedded(std::string(folder) + std::string(*name) + ".json") : nullptr;
    if (!file) {
        throw Error(
            ErrorKind::unsupported,
            type == "model" ? "the architecture is '" + printable(*name, 60) + "', which is not known."
                            : "this is not a model, but a file of type '" + printable(type, 60) + "'.",
            {.code = "F-ARCH",
             .file = metadata.file_name(),
             .advice = "GGUF models of these architectures can be opened: " + known_architectures() + "."});
    }
    return parse(file->text(), std::string(file->path));
}

GgufArchitecture GgufArchitecture::named(std::string_view name) {
    const EmbeddedFile* file = find_embedded(std::string(folder) + std::string(name) + ".json");
    if (!file) {
        throw Error(ErrorKind::unsupported, "no GGUF architecture is called '" + printable(name, 60) + "'.",
                    {.code = "F-ARCH", .advice = "There are: " + known_architectures() + "."});
    }
    return parse(file->text(), std::string(file->path));
}

GgufArchitecture GgufArchitecture::parse(std::string_view text, const std::string& file_name) {
    const json document = parse_document(text, file_name);
    GgufArchitecture out;
    try {
        if (document.at("format") != "ergosphere-gguf-architecture" || document.at("version") != 1) {
            throw Error(ErrorKind::unsupported, "this is no GGUF architecture of version 1.",
                        {.code = "F-CONFIG-VALUE", .file = file_name});
        }
        out.name_ = document.at("architecture").get<std::string>();
        out.vocabulary_ = document.at("vocabulary").get<std::string>();
        out.names_ = document.at("tensors").get<decltype(out.names_)>();
        static constexpr std::pair<const char*, Member::Kind> kinds[] = {
            {"value", Member::Kind::value},   {"integer", Member::Kind::integer},
            {"number", Member::Kind::number}, {"text", Member::Kind::text},
            {"rows", Member::Kind::rows},     {"absent", Member::Kind::absent},
        };
        for (const json& item : document.at("config")) {
            const auto kind = std::find_if(std::begin(kinds), std::end(kinds),
                                           [&](const auto& k) { return item.contains(k.first); });
            if (kind == std::end(kinds)) {
                throw Error(ErrorKind::format, "a member of 'config' says nothing about its value.",
                            {.code = "F-CONFIG-VALUE", .file = file_name});
            }
            const json& source = item.at(kind->first);
            out.members_.push_back(
                {item.at("name").get<std::string>(), kind->second,
                 kind->second == Member::Kind::value ? source.dump() : source.get<std::string>(),
                 item.value("unless", ""), item.value("optional", false)});
        }
    } catch (const json::exception& problem) {
        throw Error(ErrorKind::format,
                    std::string("the architecture is not as it should be: ") + problem.what(),
                    {.code = "F-CONFIG-VALUE", .file = file_name});
    }
    return out;
}

std::string GgufArchitecture::checkpoint_name(std::string_view gguf_name) const {
    const Numbered parts = numbered(gguf_name);
    const auto found = names_.find(parts.pattern);
    if (found == names_.end()) {
        return std::string(gguf_name);
    }
    std::string name = found->second;
    if (const std::size_t at = name.find(block); at != std::string::npos) {
        name.replace(at, block.size(), parts.number);
    }
    return name;
}

std::string GgufArchitecture::gguf_name(std::string_view checkpoint_name) const {
    const Numbered parts = numbered(checkpoint_name);
    for (const auto& [own, other] : names_) {
        if (other == parts.pattern) {
            std::string name = own;
            if (const std::size_t at = name.find(block); at != std::string::npos) {
                name.replace(at, block.size(), parts.number);
            }
            return name;
        }
    }
    throw Error(ErrorKind::unsupported, "a GGUF file of the architecture " + name_ + " has no such tensor.",
                {.code = "F-ARCH", .tensor = printable(checkpoint_name)});
}

std::vector<std::pair<std::string, GgufValue>>
GgufArchitecture::metadata_of(std::string_view config_json) const {
    json config = parse_document(config_json, "config.json");
    std::vector<std::pair<std::string, GgufValue>> out{{"general.architecture", name_}};
    for (const Member& member : members_) {
        const json value = config.is_object() ? member_at(config, member.name) : json();
        const bool whole = member.kind == Member::Kind::integer, number = member.kind == Member::Kind::number;
        if ((whole || number) && value.is_null() && !member.optional) {
            throw Error(ErrorKind::mismatch, "the key " + member.name + " is missing.",
                        {.code = "F-CONFIG-MISSING", .file = "config.json"});
        }
        if (whole && value.is_number_unsigned() && value <= std::numeric_limits<std::uint32_t>::max()) {
            out.emplace_back(member.source, value.get<std::uint32_t>());
        } else if (number && value.is_number()) {
            out.emplace_back(member.source, value.get<float>());
        } else if ((whole || number || member.kind == Member::Kind::text) && !value.is_null()) {
            throw Error(ErrorKind::mismatch,
                        "the key " + member.name + " is " + printable(value.dump(), 40) +
                            ", which a GGUF file cannot say.",
                        {.code = "F-CONFIG-VALUE", .file = "config.json"});
        }
    }
    return out;
}

std::string GgufArchitecture::config_json(const std::vector<GgufFile>& parts) const {
    const TypedMetadata& metadata = parts.at(0).metadata;
    const std::string& file = parts[0].file_name;
    json config = json::object();
    for (const Member& member : members_) {
        const bool from_metadata = member.kind == Member::Kind::integer ||
                                   member.kind == Member::Kind::number || member.kind == Member::Kind::text;
        if (from_metadata && !metadata.find(member.source)) {
            if (!member.optional) {
                missing(file, "'" + member.source + "' in its metadata");
            }
            continue;
        }
        switch (member.kind) {
        case Member::Kind::value:
            member_at(config, member.name) = json::parse(member.source);
            break;
        case Member::Kind::integer:
            member_at(config, member.name) = *metadata.integer(member.source);
            break;
        case Member::Kind::number: {
            const double value = *metadata.number(member.source);
            if (!std::isfinite(value)) {
                throw Error(ErrorKind::format, "the metadata '" + member.source + "' is not a finite number.",
                            {.code = "F-CONFIG-VALUE", .file = file});
            }
            member_at(config, member.name) = value;
            break;
        }
        case Member::Kind::text:
            if (*metadata.text(member.source) != member.unless) {
                member_at(config, member.name) =
                    checked_text(*metadata.text(member.source), member.source, file);
            }
            break;
        case Member::Kind::rows:
            member_at(config, member.name) = rows_of(parts, member.source);
            break;
        case Member::Kind::absent:
            member_at(config, member.name) = find_tensor(parts, member.source) == nullptr;
            break;
        }
    }
    if (const MetadataValue* tokens = metadata.find("tokenizer.ggml.tokens")) {
        const auto* list = std::get_if<MetadataList>(tokens);
        const std::int64_t rows = rows_of(parts, vocabulary_);
        if (!list || list->count != static_cast<std::uint64_t>(rows)) {
            throw Error(ErrorKind::format,
                        "tokenizer.ggml.tokens is " + printable(to_string(*tokens), 60) +
                            ", but the embedding has " + std::to_string(rows) + " rows.",
                        {.code = "GG-TOKENIZER", .file = file, .advice = get_complete});
        }
    }
    return config.dump(1);
}

} // namespace ergo
