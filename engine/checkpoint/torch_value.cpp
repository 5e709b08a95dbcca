// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/torch_value.h"

#include "engine/base/error.h"

namespace ergo {

namespace {

template <class Content> const Content* content(const TorchValue& value) {
    const TorchNode* node = value.node();
    return node ? std::get_if<Content>(&node->content) : nullptr;
}

std::string_view form_name(TorchNode::Sequence::Form form) {
    switch (form) {
    case TorchNode::Sequence::Form::list:
        return "a list";
    case TorchNode::Sequence::Form::tuple:
        return "a tuple";
    default:
        return "a set";
    }
}

} // namespace

TorchNode* TorchValue::node() const {
    const auto* held = std::get_if<std::shared_ptr<TorchNode>>(&held_);
    return held ? held->get() : nullptr;
}

const std::string* TorchValue::text() const {
    const auto* held = content<TorchNode::Text>(*this);
    return held ? &held->text : nullptr;
}

const std::string* TorchValue::bytes() const {
    const auto* held = content<TorchNode::Bytes>(*this);
    return held ? &held->bytes : nullptr;
}

const Tensor* TorchValue::tensor() const {
    return content<Tensor>(*this);
}

const TorchValue::Unreadable* TorchValue::unreadable() const {
    return content<Unreadable>(*this);
}

const TorchValue::Items* TorchValue::sequence() const {
    const auto* held = content<TorchNode::Sequence>(*this);
    return held ? &held->items : nullptr;
}

const TorchValue::Map* TorchValue::map() const {
    return content<TorchNode::Map>(*this);
}

const TorchValue::Storage* TorchValue::storage() const {
    return content<Storage>(*this);
}

const TorchSymbol* TorchValue::symbol() const {
    const auto* held = std::get_if<const TorchSymbol*>(&held_);
    return held ? *held : nullptr;
}

const TorchValue* TorchValue::find(std::string_view key) const {
    if (!map()) {
        return nullptr;
    }
    for (const auto& [name, value] : *map()) {
        if (name.text() && *name.text() == key) {
            return &value;
        }
    }
    return nullptr;
}

std::string TorchValue::describe() const {
    if (is_none()) {
        return "None";
    }
    if (const bool* value = boolean()) {
        return *value ? "True" : "False";
    }
    if (const std::int64_t* value = integer()) {
        return "the number " + std::to_string(*value);
    }
    if (const double* value = real()) {
        return "the number " + std::to_string(*value);
    }
    if (const TorchSymbol* value = symbol()) {
        return std::string(value->module) + "." + std::string(value->name);
    }
    if (const std::string* value = text()) {
        return "the text '" + printable(*value, 60) + "'";
    }
    if (const std::string* value = bytes()) {
        return std::to_string(value->size()) + " bytes";
    }
    if (const Tensor* value = tensor()) {
        return "a tensor " + to_string(value->shape());
    }
    if (const Unreadable* value = unreadable()) {
        return "a tensor " + to_string(value->shape) + " of " + value->stored_type;
    }
    if (const auto* value = content<TorchNode::Sequence>(*this)) {
        return std::string(form_name(value->form)) + " of " + std::to_string(value->items.size());
    }
    if (const Map* value = map()) {
        return "a map of " + std::to_string(value->size());
    }
    return "a storage";
}

} // namespace ergo
