// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/gguf_types.h"

#include <array>
#include <bit>
#include <type_traits>

namespace ergo {

namespace {

constexpr std::uint64_t alignment = 32;

/// Builds the header as bytes.
class Header {
  public:
    template <class T> void number(T value) {
        const auto bits = std::bit_cast<std::array<char, sizeof(T)>>(value);
        bytes.append(bits.data(), bits.size());
    }
    void text(std::string_view text) {
        number<std::uint64_t>(text.size());
        bytes += text;
    }
    void type(MetadataList::Type type) { number(static_cast<std::uint32_t>(type)); }

    std::string bytes;
};

template <class T> constexpr MetadataList::Type type_of() {
    using Type = MetadataList::Type;
    if constexpr (std::is_same_v<T, bool>) {
        return Type::boolean;
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
        return Type::u32;
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
        return Type::i32;
    } else if constexpr (std::is_same_v<T, std::uint64_t>) {
        return Type::u64;
    } else if constexpr (std::is_same_v<T, float>) {
        return Type::f32;
    } else {
        return Type::text;
    }
}

template <class T> void put(Header& out, const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
        out.text(value);
    } else if constexpr (std::is_same_v<T, bool>) {
        out.number<std::uint8_t>(value ? 1 : 0);
    } else {
        out.number(value);
    }
}

void put_value(Header& out, const GgufValue& value) {
    std::visit(
        [&]<class T>(const T& v) {
            if constexpr (requires { typename T::allocator_type; } && !std::is_same_v<T, std::string>) {
                out.type(MetadataList::Type::list);
                out.type(type_of<typename T::value_type>());
                out.number<std::uint64_t>(v.size());
                for (const auto& element : v) {
                    put(out, element);
                }
            } else {
                out.type(type_of<T>());
                put(out, v);
            }
        },
        value);
}

std::uint64_t put_tensor(Header& out, const GgufPlace& place, std::uint64_t offset) {
    const auto& [name, dtype, shape] = place;
    const auto type = gguf_type_of(dtype);
    if (name.empty() || name.size() >= 64 || shape.size() > 4 || !type) {
        throw Error(ErrorKind::usage,
                    "a tensor of shape " + to_string(shape) + " and type " + std::string(dtype_name(dtype)) +
                        " cannot be written under this name.",
                    {.tensor = printable(name),
                     .advice = "GGUF names have 1 to 63 bytes, its tensors at most 4 dimensions."});
    }
    out.text(name);
    out.number(static_cast<std::uint32_t>(shape.size()));
    for (std::size_t k = shape.size(); k-- > 0;) {
        out.number(static_cast<std::uint64_t>(shape[k]));
    }
    out.number(*type);
    out.number(offset);
    return offset + (dtype_bytes(dtype, element_count(shape)) + alignment - 1) / alignment * alignment;
}

} // namespace

void write_gguf(const std::filesystem::path& path,
                const std::vector<std::pair<std::string, GgufValue>>& metadata,
                const std::vector<std::pair<std::string, Tensor>>& tensors) {
    std::vector<GgufPlace> places;
    for (const auto& [name, tensor] : tensors) {
        places.push_back({name, tensor.dtype(), tensor.shape()});
    }
    write_gguf(path, metadata, places, [&](std::size_t i) { return tensors[i].second; });
}

void write_gguf(const std::filesystem::path& path,
                const std::vector<std::pair<std::string, GgufValue>>& metadata,
                const std::vector<GgufPlace>& tensors, const std::function<Tensor(std::size_t)>& make) {
    Header header;
    header.bytes = "GGUF";
    header.number<std::uint32_t>(3);
    header.number<std::uint64_t>(tensors.size());
    header.number<std::uint64_t>(metadata.size());
    for (const auto& [key, value] : metadata) {
        header.text(key);
        put_value(header, value);
    }
    std::uint64_t offset = 0;
    for (const GgufPlace& place : tensors) {
        offset = put_tensor(header, place, offset);
    }
    AtomicFile file(path);
    file.write(header.bytes);
    const std::string zeros(alignment, '\0');
    const auto pad = [&] {
        file.write(std::string_view(zeros).substr(0, (alignment - file.size() % alignment) % alignment));
    };
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const Tensor tensor = make(i);
        if (tensor.dtype() != tensors[i].dtype || tensor.shape() != tensors[i].shape) {
            throw Error(ErrorKind::usage, "the tensor made is not the one announced.",
                        {.tensor = printable(tensors[i].name)});
        }
        pad();
        file.write(tensor.bytes());
    }
    pad();
    file.commit();
}

} // namespace ergo
