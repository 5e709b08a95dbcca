// SPDX-License-Identifier: GPL-3.0-or-later
// What a PyTorch file can say as plain data: numbers, texts, lists, maps and tensors. Nothing here can run.
// A value is cheap to copy; copies share what they hold, which nobody changes after reading. Any thread.
#pragma once

#include "engine/tensor/tensor.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ergo {

/// A name that a pickle may mention. It stands for itself: data types such as `torch.float32` stay in a
/// file's values as symbols, all others only steer the reader.
struct TorchSymbol {
    enum class Role : std::uint8_t {
        ordered_map,
        counter,
        default_map,
        set,
        complex,
        byte_array,
        encode,
        size,
        device,
        dtype,
        storage_type,
        untyped_storage,
        tensor,
        tensor_v2,
        tensor_v3,
        parameter,
        parameter_with_state,
        from_type,
        parameter_class,
        tensor_class,
        unsupported_tensor,
    };
    std::string_view module, name;
    Role role;
    std::string_view stored_type{}; ///< of dtype and storage_type: "F32", "F8_E4M3" …
    std::optional<DType> dtype{};   ///< empty for types that can only be inspected
    unsigned element_bytes = 0;
};

struct TorchNode;

class TorchValue {
  public:
    using Items = std::vector<TorchValue>;
    using Map = std::vector<std::pair<TorchValue, TorchValue>>; ///< in file order, no two keys alike

    /// A tensor whose elements no Tensor can hold (F8, complex).
    struct Unreadable {
        std::string stored_type;
        Shape shape;
        std::uint64_t bytes = 0;
    };
    /// The bytes of tensors not yet cut into tensors.
    struct Storage {
        const TorchSymbol* type = nullptr;
        std::uint64_t count = 0; ///< elements (bytes of an untyped one)
        std::span<const std::byte> bytes;
    };

    TorchValue() = default; ///< none
    explicit TorchValue(bool value) : held_(value) {}
    explicit TorchValue(std::int64_t value) : held_(value) {}
    explicit TorchValue(double value) : held_(value) {}
    explicit TorchValue(const TorchSymbol* symbol) : held_(symbol) {}
    explicit TorchValue(std::shared_ptr<TorchNode> node) : held_(std::move(node)) {}

    bool is_none() const { return std::holds_alternative<std::monostate>(held_); }
    /// Each gives nullptr when the value is of another kind.
    const bool* boolean() const { return std::get_if<bool>(&held_); }
    const std::int64_t* integer() const { return std::get_if<std::int64_t>(&held_); }
    const double* real() const { return std::get_if<double>(&held_); }
    const std::string* text() const;  ///< UTF-8
    const std::string* bytes() const; ///< any bytes
    const Tensor* tensor() const;
    const Unreadable* unreadable() const;
    const Items* sequence() const; ///< of a list, tuple or set
    const Map* map() const;
    const TorchSymbol* symbol() const;
    const Storage* storage() const;

    /// The value under a text key of a map; nullptr when this is no map or has no such key. Linear.
    const TorchValue* find(std::string_view key) const;
    /// "a list of 3", "the text 'x'", "torch.float32" … for messages.
    std::string describe() const;

    /// What is shared; nullptr for none, numbers and symbols. For the reader.
    TorchNode* node() const;

  private:
    std::variant<std::monostate, bool, std::int64_t, double, const TorchSymbol*, std::shared_ptr<TorchNode>>
        held_;
};

/// The shared part of a value; only the reader makes and fills it.
struct TorchNode {
    struct Text {
        std::string text;
    };
    struct Bytes {
        std::string bytes;
    };
    struct Sequence {
        enum class Form : std::uint8_t { list, tuple, set } form;
        TorchValue::Items items;
    };
    using Map = TorchValue::Map;

    std::variant<Text, Bytes, Sequence, Map, Tensor, TorchValue::Unreadable, TorchValue::Storage> content;
    std::uint32_t depth = 1; ///< levels of containers, this one included
    bool sealed = false;     ///< lies in another container: may not change any more
    std::uint64_t hash = 0;  ///< of a text, bytes or tuple of hashable values
    bool hashable = false;
};

} // namespace ergo
