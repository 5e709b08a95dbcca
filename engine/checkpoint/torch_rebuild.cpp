// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/torch_rebuild.h"

#include "engine/checkpoint/strided.h"
#include "engine/checkpoint/torch_symbols.h"

#include <algorithm>
#include <limits>

namespace ergo {

namespace {

using Form = TorchNode::Sequence::Form;
using Role = TorchSymbol::Role;

constexpr const char* plain_advice = "Save the state dict alone: torch.save(model.state_dict(), path).";

[[noreturn]] void fail(const char* code, const std::string& what, const char* advice = plain_advice) {
    throw PickleProblem{code, what, advice};
}

std::string name_of(const TorchSymbol& symbol) {
    return std::string(symbol.module) + "." + std::string(symbol.name);
}

[[noreturn]] void wrong_arguments(const TorchSymbol& symbol, const TorchValue::Items& arguments) {
    std::string shown;
    for (std::size_t i = 0; i < arguments.size() && i < 8; ++i) {
        shown += (i ? ", " : "") + arguments[i].describe();
    }
    fail("PT-OBJECT", name_of(symbol) + " is given (" + shown + "), which makes no plain value.");
}

/// A list or tuple of integers.
std::vector<std::int64_t> integers(const TorchValue& value, const char* what) {
    std::vector<std::int64_t> out;
    if (!value.sequence()) {
        fail("PT-TENSOR", std::string("the ") + what + " of a tensor is " + value.describe() + ".");
    }
    for (const TorchValue& item : *value.sequence()) {
        if (!item.integer() || out.size() > 64) {
            fail("PT-TENSOR", std::string("the ") + what + " of a tensor holds " + item.describe() + ".");
        }
        out.push_back(*item.integer());
    }
    return out;
}

bool is_empty_map(const TorchValue& value) {
    return value.map() && value.map()->empty();
}

} // namespace

const TorchSymbol* TorchRebuilder::symbol(std::string_view module, std::string_view name) {
    const TorchSymbol* symbol = find_torch_symbol(module, name);
    if (!symbol) {
        fail("PT-GLOBAL", "the file wants " + printable(module, 100) + "." + printable(name, 100) +
                              ", which is not among the symbols of plain tensors; nothing was run.");
    }
    if (symbol->role == Role::unsupported_tensor) {
        fail("PT-UNSUPPORTED-TENSOR",
             "the file holds a quantised, sparse or otherwise special tensor (" + name_of(*symbol) + ").",
             "Convert it to a dense F32, F16 or BF16 tensor and save it again.");
    }
    return symbol;
}

TorchValue TorchRebuilder::call(const TorchSymbol& symbol, const TorchValue::Items& arguments) {
    switch (symbol.role) {
    case Role::tensor:
    case Role::tensor_v2:
    case Role::tensor_v3:
        return tensor_call(symbol, arguments);
    case Role::parameter:
    case Role::parameter_with_state:
    case Role::parameter_class:
        return parameter(symbol, arguments);
    case Role::from_type:
        return from_type(arguments);
    default:
        return plain_call(symbol, arguments);
    }
}

TorchValue TorchRebuilder::plain_call(const TorchSymbol& symbol, const TorchValue::Items& arguments) {
    const auto is = [&](Role role, std::size_t count) {
        return symbol.role == role && arguments.size() == count;
    };
    if (is(Role::ordered_map, 0) || is(Role::counter, 0)) {
        return make_map(budget_);
    }
    if (is(Role::counter, 1) && arguments[0].map()) {
        return arguments[0];
    }
    if (is(Role::default_map, 1) && arguments[0].symbol()) {
        return make_map(budget_);
    }
    if (is(Role::set, 0)) {
        return make_sequence(Form::set, {}, budget_);
    }
    if (is(Role::set, 1) && arguments[0].sequence()) {
        return make_sequence(Form::set, *arguments[0].sequence(), budget_);
    }
    if (is(Role::complex, 2) && arguments[0].real() && arguments[1].real()) {
        return make_sequence(Form::tuple, arguments, budget_);
    }
    if (is(Role::size, 1) && arguments[0].sequence()) {
        return make_sequence(Form::tuple, *arguments[0].sequence(), budget_);
    }
    if ((is(Role::device, 1) || is(Role::device, 2)) && arguments[0].text()) {
        return arguments[0];
    }
    if (is(Role::byte_array, 0)) {
        return make_bytes("", budget_);
    }
    if (is(Role::byte_array, 1) && arguments[0].bytes()) {
        return arguments[0];
    }
    // The text holds one character a byte: the writer's way to store bytes in protocol 2.
    const bool encodes = is(Role::encode, 2) || is(Role::byte_array, 2);
    if (encodes && arguments[0].text() && arguments[1].text() &&
        (*arguments[1].text() == "latin1" || *arguments[1].text() == "latin-1")) {
        std::string bytes;
        const std::string& text = *arguments[0].text();
        for (std::size_t i = 0; i < text.size(); ++i) {
            const auto lead = static_cast<unsigned char>(text[i]);
            if (lead < 0x80) {
                bytes += text[i];
            } else if (lead <= 0xc3) { // two bytes for 0x80 to 0xff, known to be valid UTF-8
                bytes += static_cast<char>((lead & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
            } else {
                fail("PT-OBJECT", "a byte string holds a character beyond 255.");
            }
        }
        return make_bytes(std::move(bytes), budget_);
    }
    wrong_arguments(symbol, arguments);
}

TorchValue TorchRebuilder::parameter(const TorchSymbol& symbol, const TorchValue::Items& arguments) const {
    const std::size_t at_least = symbol.role == Role::parameter_class ? 1 : 3;
    const std::size_t at_most = symbol.role == Role::parameter_with_state ? 4 : 3;
    const bool tensor = !arguments.empty() && (arguments[0].tensor() || arguments[0].unreadable()) &&
                        arguments.size() >= at_least && arguments.size() <= at_most &&
                        (arguments.size() < 2 || arguments[1].boolean());
    if (!tensor) {
        wrong_arguments(symbol, arguments);
    }
    if (arguments.size() >= 3 && !is_empty_map(arguments[2])) {
        fail("PT-OBJECT", "a parameter has hooks, which are code.");
    }
    return arguments[0];
}

TorchValue TorchRebuilder::from_type(const TorchValue::Items& arguments) {
    static constexpr TorchSymbol itself{"torch._tensor", "_rebuild_from_type_v2", Role::from_type};
    const TorchSymbol* inner = arguments.size() == 4 ? arguments[0].symbol() : nullptr;
    const TorchSymbol* type = arguments.size() == 4 ? arguments[1].symbol() : nullptr;
    const bool known =
        inner && type && inner->role >= Role::tensor && inner->role <= Role::parameter_with_state &&
        (type->role == Role::parameter_class || type->role == Role::tensor_class) && arguments[2].sequence();
    if (!known) {
        wrong_arguments(itself, arguments);
    }
    return call(*inner, *arguments[2].sequence());
}

TorchValue TorchRebuilder::tensor_call(const TorchSymbol& symbol, const TorchValue::Items& arguments) {
    // (storage, offset, size, stride [, requires_grad, hooks [, dtype of v3] [, metadata]])
    const bool v1 = symbol.role == Role::tensor, v3 = symbol.role == Role::tensor_v3;
    const std::size_t least = v1 ? 4 : v3 ? 7 : 6;
    const std::size_t most = v1 ? 4 : least + 1;
    if (arguments.size() < least || arguments.size() > most || !arguments[0].storage()) {
        wrong_arguments(symbol, arguments);
    }
    if (!v1 && !is_empty_map(arguments[5])) {
        fail("PT-OBJECT", "a tensor has hooks, which are code.");
    }
    if (!v1 && arguments.size() == most && !arguments.back().is_none() && !is_empty_map(arguments.back())) {
        fail("PT-UNSUPPORTED-TENSOR", "a tensor is stored conjugated or negated.",
             "Call .resolve_conj() and .resolve_neg() before saving it.");
    }
    const TorchValue::Storage& storage = *arguments[0].storage();
    const TorchSymbol* type = storage.type;
    if (v3) {
        type = arguments[6].symbol();
        if (!type || type->role != Role::dtype) {
            wrong_arguments(symbol, arguments);
        }
    }
    return make_tensor(storage, *type, arguments[1], arguments[2], arguments[3]);
}

TorchValue TorchRebuilder::make_tensor(const TorchValue::Storage& storage, const TorchSymbol& type,
                                       const TorchValue& offset, const TorchValue& size,
                                       const TorchValue& stride) {
    StridedView view{integers(size, "size"), integers(stride, "stride"), 0};
    if (!offset.integer()) {
        fail("PT-TENSOR", "the offset of a tensor is " + offset.describe() + ".");
    }
    view.offset = *offset.integer();
    const std::uint64_t count = storage.bytes.size() / type.element_bytes;
    if (const std::string problem = view.problem(count); !problem.empty()) {
        fail("PT-TENSOR", "a tensor does not lie in its storage: " + problem,
             "Download or save the file again.");
    }
    const std::uint64_t elements = view.elements();
    if (elements > std::numeric_limits<std::uint64_t>::max() / type.element_bytes) {
        fail("PT-TENSOR", "a tensor " + to_string(view.shape) + " is too large for 64 bits.");
    }
    const std::uint64_t bytes = elements * type.element_bytes;
    if (!type.dtype) {
        return make_leaf(TorchValue::Unreadable{std::string(type.stored_type), view.shape, bytes}, budget_);
    }
    const bool swap = big_endian_ && type.element_bytes > 1;
    if (bytes == 0 || (view.contiguous() && !swap)) {
        const std::uint64_t begin = bytes ? static_cast<std::uint64_t>(view.offset) * type.element_bytes : 0;
        return make_leaf(Tensor(*type.dtype, view.shape, storage.bytes.subspan(begin, bytes), owner_),
                         budget_);
    }
    budget_.take(bytes);
    auto owned = std::make_shared<std::vector<std::byte>>(bytes);
    gather(view, storage.bytes, type.element_bytes, swap, *owned);
    const std::span<const std::byte> whole(*owned);
    return make_leaf(Tensor(*type.dtype, view.shape, whole, std::move(owned)), budget_);
}

TorchValue TorchRebuilder::persistent(const TorchValue& id) {
    const auto* items = id.sequence();
    const bool storage = items && items->size() >= 5 && items->size() <= 6 && (*items)[0].text() &&
                         *(*items)[0].text() == "storage" && (*items)[1].symbol() && (*items)[2].text() &&
                         (*items)[3].text() && (*items)[4].integer() &&
                         (items->size() == 5 || (*items)[5].is_none());
    if (!storage) {
        const bool module = items && !items->empty() && (*items)[0].text() && *(*items)[0].text() == "module";
        fail(
            module ? "PT-OBJECT" : "PT-PERSID",
            module
                ? std::string("the file holds whole model objects with their source code, not tensors alone.")
                : "a reference to outside data is not the reference of a storage: " + id.describe() + ".");
    }
    const TorchSymbol* type = (*items)[1].symbol();
    if (type->role != Role::storage_type && type->role != Role::untyped_storage) {
        fail("PT-PERSID", "the type of a storage is " + name_of(*type) + ".");
    }
    const std::string& key = *(*items)[2].text();
    const std::int64_t count = *(*items)[4].integer();
    const std::string shown = "'" + printable("data/" + key) + "'";
    if (const auto known = storages_.find(key); known != storages_.end()) {
        const TorchValue::Storage& first = *known->second.storage();
        if (first.type != type || first.count != static_cast<std::uint64_t>(count)) {
            fail("PT-STORAGE",
                 "the storage " + shown + " is used as " + std::to_string(first.count) + " of " +
                     name_of(*first.type) + " and as " + std::to_string(count) + " of " + name_of(*type) +
                     ".",
                 "Download or save the file again.");
        }
        return known->second;
    }
    const ZipMember* member = archive_.find(folder_ + "data/" + key);
    const std::uint64_t size = member ? member->end - member->begin : 0;
    std::uint64_t needed = 0;
    if (!member || count < 0 ||
        __builtin_mul_overflow(static_cast<std::uint64_t>(count), type->element_bytes, &needed) ||
        needed != size) {
        fail("PT-STORAGE",
             member ? "the storage " + shown + " has " + std::to_string(size) + " bytes, its " +
                          std::to_string(count) + " elements of " + std::to_string(type->element_bytes) +
                          " bytes do not fit that."
                    : "the storage " + shown + " is not in the archive.",
             "Download or save the file again.");
    }
    used_.emplace(key, member);
    budget_.take(sizeof(TorchNode) + 2 * key.size() + 200);
    TorchValue value = make_leaf(
        TorchValue::Storage{type, static_cast<std::uint64_t>(count), archive_.content(*member)}, budget_);
    storages_.emplace(key, value);
    return value;
}

} // namespace ergo
