// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/pickle_values.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

namespace ergo {

namespace {

using Form = TorchNode::Sequence::Form;

constexpr std::uint32_t max_depth = 64;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    a ^= b + 0x9e3779b97f4a7c15 + (a << 6) + (a >> 2);
    a *= 0xff51afd7ed558ccd;
    return a ^ a >> 32;
}

/// Values that compare equal in the writer's language (1, 1.0, True) have equal hashes; nullopt for what
/// cannot be a key. Two hashes alike count as two keys alike: by chance that does not happen.
std::optional<std::uint64_t> hash_of(const TorchValue& value) {
    if (const bool* truth = value.boolean()) {
        return mix(1, *truth ? 1 : 0);
    }
    if (const std::int64_t* number = value.integer()) {
        return mix(1, static_cast<std::uint64_t>(*number));
    }
    if (const double* number = value.real()) {
        const bool whole = *number == std::floor(*number) && std::abs(*number) < 9e18;
        return whole ? mix(1, static_cast<std::uint64_t>(static_cast<std::int64_t>(*number)))
                     : mix(2, std::bit_cast<std::uint64_t>(*number));
    }
    if (const TorchSymbol* symbol = value.symbol()) {
        return mix(3, reinterpret_cast<std::uintptr_t>(symbol));
    }
    if (const TorchNode* node = value.node()) {
        return node->hashable ? std::optional(node->hash) : std::nullopt;
    }
    return 4; // none
}

std::uint32_t depth_of(const TorchValue& value) {
    const TorchNode* node = value.node();
    return node ? node->depth : 0;
}

void check_unique(std::vector<std::uint64_t> hashes, const char* what) {
    std::sort(hashes.begin(), hashes.end());
    if (std::adjacent_find(hashes.begin(), hashes.end()) != hashes.end()) {
        malformed_pickle(std::string(what));
    }
}

TorchValue make_string(bool is_text, std::string value, ReadingBudget& budget) {
    budget.take(sizeof(TorchNode) + value.size());
    auto node = std::make_shared<TorchNode>();
    node->hash = mix(is_text ? 5 : 6, std::hash<std::string_view>()(value));
    node->hashable = true;
    if (is_text) {
        node->content = TorchNode::Text{std::move(value)};
    } else {
        node->content = TorchNode::Bytes{std::move(value)};
    }
    return TorchValue(std::move(node));
}

} // namespace

void malformed_pickle(const std::string& what) {
    throw PickleProblem{"PT-PICKLE", what};
}

void seal(const TorchValue& value) {
    TorchNode* node = value.node();
    if (!node || node->sealed) {
        return;
    }
    node->sealed = true;
    std::vector<std::uint64_t> hashes;
    if (const auto* map = std::get_if<TorchNode::Map>(&node->content)) {
        hashes.reserve(map->size());
        for (const auto& [key, item] : *map) {
            hashes.push_back(*hash_of(key)); // checked when it was put in
        }
        check_unique(std::move(hashes), "a map has the same key twice.");
    } else if (const auto* set = std::get_if<TorchNode::Sequence>(&node->content);
               set && set->form == Form::set) {
        for (const TorchValue& item : set->items) {
            hashes.push_back(*hash_of(item));
        }
        check_unique(std::move(hashes), "a set has the same value twice.");
    }
}

void put_into(TorchNode& parent, const TorchValue& child) {
    if (parent.sealed || child.node() == &parent) {
        malformed_pickle("a container is changed after it was put into another one, or put into itself.");
    }
    parent.depth = std::max(parent.depth, depth_of(child) + 1);
    if (parent.depth > max_depth) {
        malformed_pickle("containers are nested more than " + std::to_string(max_depth) + " deep.");
    }
    seal(child);
}

std::uint64_t require_hash(const TorchValue& key) {
    const auto hash = hash_of(key);
    if (!hash) {
        malformed_pickle(key.describe() + " cannot be a key.");
    }
    return *hash;
}

void ReadingBudget::take(std::uint64_t bytes) {
    if (bytes > left_) {
        throw PickleProblem{"F-TOO-LARGE",
                            "reading needs more than " + std::to_string(limit_) +
                                " bytes of memory, the limit for a file of this size.",
                            "Save a plain state dict with contiguous tensors.", ErrorKind::resources};
    }
    left_ -= bytes;
}

TorchValue make_text(std::string text, ReadingBudget& budget) {
    return make_string(true, std::move(text), budget);
}

TorchValue make_bytes(std::string bytes, ReadingBudget& budget) {
    return make_string(false, std::move(bytes), budget);
}

TorchValue make_sequence(Form form, TorchValue::Items items, ReadingBudget& budget) {
    budget.take(sizeof(TorchNode) + items.size() * sizeof(TorchValue));
    auto node = std::make_shared<TorchNode>();
    node->hashable = form == Form::tuple;
    node->hash = 7;
    for (const TorchValue& item : items) {
        put_into(*node, item);
        const auto hash = node->hashable || form == Form::set ? hash_of(item) : std::nullopt;
        if (form == Form::set && !hash) {
            require_hash(item);
        }
        node->hashable = node->hashable && hash;
        node->hash = node->hashable ? mix(node->hash, *hash) : 0;
    }
    node->content = TorchNode::Sequence{form, std::move(items)};
    return TorchValue(std::move(node));
}

TorchValue make_map(ReadingBudget& budget) {
    budget.take(sizeof(TorchNode));
    auto node = std::make_shared<TorchNode>();
    node->content = TorchNode::Map{};
    return TorchValue(std::move(node));
}

} // namespace ergo
