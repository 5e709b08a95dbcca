// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/end_tokens.h"

#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <set>
#include <string>

namespace ergo {

namespace {

void add(std::set<std::int32_t>& ids, const nlohmann::json& value) {
    if (value.is_number_integer() && value.get<std::int64_t>() >= 0 &&
        value.get<std::int64_t>() < (std::int64_t{1} << 31)) {
        ids.insert(value.get<std::int32_t>());
    }
}

void add_file(std::set<std::int32_t>& ids, const std::string& text) {
    if (!is_sound_json(text)) {
        return;
    }
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object() || !json.contains("eos_token_id")) {
        return;
    }
    const auto& value = json["eos_token_id"];
    add(ids, value);
    if (value.is_array()) {
        for (const auto& each : value) {
            add(ids, each);
        }
    }
}

} // namespace

std::vector<std::int32_t> end_tokens(const Checkpoint& checkpoint, const Tokenizer* tokenizer) {
    std::set<std::int32_t> ids;
    add_file(ids, checkpoint.config_json());
    add_file(ids, checkpoint.side_file("generation_config.json").value_or(""));
    if (tokenizer && tokenizer->eos()) {
        ids.insert(*tokenizer->eos());
    }
    return {ids.begin(), ids.end()};
}

} // namespace ergo
