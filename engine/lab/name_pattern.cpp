// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/name_pattern.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

namespace ergo {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_letter(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

// What authors write for the same thing.
struct Synonym {
    const char *written, *meant;
};
constexpr Synonym synonyms[] = {
    {"wq", "q"},
    {"query", "q"},
    {"wk", "k"},
    {"key", "k"},
    {"wv", "v"},
    {"value", "v"},
    {"wo", "o"},
    {"out", "o"},
    {"output", "o"},
    {"wkv", "kv"},
    {"attn", "attention"},
    {"mha", "attention"},
    {"emb", "embed"},
    {"embedding", "embed"},
    {"tok", "embed"},
    {"wte", "embed"},
    {"tokens", "embed"},
    {"ln", "norm"},
    {"layernorm", "norm"},
    {"rmsnorm", "norm"},
    {"pw", "pointwise"},
    {"dw", "depthwise"},
    {"convolution", "conv"},
    {"w", "weight"},
    {"b", "bias"},
    {"lm", "head"},
    {"hyper", "hyper"},
    {"hyperffn", "hyper"},
    {"ffn", "ffn"},
    {"w1", "gate"},
    {"w3", "up"},
    {"w2", "down"},
    {"mlp", "ffn"},
    {"mixer", "mix"},
    {"lr", "low"},
    {"lowrank", "low"},
    {"rank", "low"},
    {"r", "radius"},
    {"radii", "radius"},
    {"center", "origin"},
    {"centre", "origin"},
    {"centers", "origin"},
    {"scale", "scale"},
    {"ls", "scale"},
    {"gamma", "scale"},
    {"diag", "metric"},
    {"maha", "metric"},
    {"m", "metric"},
    {"temp", "alpha"},
    {"a", "a"},
};
// Words that say little.
constexpr const char* fillers[] = {"proj", "model", "layers", "layer", "block", "blocks", "transformer", "h"};

} // namespace

std::vector<LayerName> find_layers(const std::vector<std::string>& names, std::int64_t layers) {
    const std::set<std::string> all(names.begin(), names.end());
    std::vector<LayerName> out;
    for (const std::string& name : names) {
        LayerName found{name, std::nullopt};
        for (std::size_t begin = 0; begin < name.size() && !found.layer;) {
            if (!is_digit(name[begin])) {
                ++begin;
                continue;
            }
            std::size_t end = begin;
            while (end < name.size() && is_digit(name[end])) {
                ++end;
            }
            const std::string head = name.substr(0, begin), tail = name.substr(end);
            bool every =
                end - begin < 6 && layers > 0 && std::stoll(name.substr(begin, end - begin)) < layers;
            for (std::int64_t l = 0; every && l < layers; ++l) {
                every = all.contains(head + std::to_string(l) + tail);
            }
            if (every) {
                found = {head + "{l}" + tail, std::stoll(name.substr(begin, end - begin))};
            }
            begin = end;
        }
        out.push_back(std::move(found));
    }
    return out;
}

std::vector<std::string> name_words(const std::string& name) {
    std::vector<std::string> words;
    const auto add = [&](std::string word) {
        for (char& c : word) {
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
        for (const Synonym& synonym : synonyms) {
            if (word == synonym.written) {
                word = synonym.meant;
                break;
            }
        }
        if (std::find(std::begin(fillers), std::end(fillers), word) == std::end(fillers)) {
            words.push_back(std::move(word));
        }
    };
    std::string word;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        const bool new_word = !word.empty() && std::isupper(static_cast<unsigned char>(c)) != 0 &&
                              std::islower(static_cast<unsigned char>(word.back())) != 0; // camelCase
        if ((!is_letter(c) && !is_digit(c)) || new_word) {
            if (!word.empty()) {
                add(std::exchange(word, {}));
            }
        }
        if (is_letter(c) || is_digit(c)) {
            word += c;
        }
    }
    if (!word.empty()) {
        add(std::move(word));
    }
    return words;
}

double likeness(const std::string& a, const std::string& b) {
    std::vector<std::string> left = name_words(a), right = name_words(b);
    if (left.empty() || right.empty()) {
        return 0;
    }
    const auto total = static_cast<double>(left.size() + right.size());
    double shared = 0;
    for (const std::string& word : left) {
        if (const auto found = std::find(right.begin(), right.end(), word); found != right.end()) {
            right.erase(found);
            shared += 2;
        }
    }
    return shared / total;
}

std::string parent_of(const std::string& name, int levels) {
    std::string out = name;
    for (; levels > 0; --levels) {
        const auto dot = out.rfind('.');
        out = dot == std::string::npos ? "" : out.substr(0, dot);
    }
    return out;
}

} // namespace ergo
