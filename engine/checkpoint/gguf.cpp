// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/gguf.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/gguf_types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <numeric>

namespace ergo {

namespace {

using Type = MetadataList::Type;

// More than any model has; they bound what a small file can make the program allocate.
constexpr std::uint64_t max_metadata = 65'536, max_tensors = 100'000;
constexpr std::uint64_t max_text = std::uint64_t{64} << 20; // bytes
constexpr std::uint64_t max_list = 16'000'000;
constexpr std::uint64_t max_key = 65'535, max_name = 63;        // bytes
constexpr std::uint64_t least_metadata = 13, least_tensor = 24; // bytes of the smallest record
constexpr std::uint64_t max_alignment = 65'536;
constexpr std::uint32_t max_rank = 4;

constexpr const char* get_again = "Download or export the file again.";

/// Bytes of one element in a list; for a text, of the shortest.
constexpr std::array<std::uint64_t, 13> element_bytes{1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};

/// Reads a header from front to back; nothing is read beyond the file.
class Cursor {
  public:
    Cursor(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

    [[noreturn]] void fail(const char* code, const std::string& what, const std::string& tensor = {},
                           const char* advice = get_again) const {
        throw Error(
            ErrorKind::format, what,
            {.code = code, .file = file_, .offset = at_, .tensor = printable(tensor), .advice = advice});
    }

    std::uint64_t at() const { return at_; }
    std::uint64_t remaining() const { return bytes_.size() - at_; }

    template <class T> T number(const char* what) {
        if (remaining() < sizeof(T)) {
            fail("F-TRUNCATED", std::string("the file ends after ") + std::to_string(bytes_.size()) +
                                    " bytes, inside " + what + ".");
        }
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return value;
    }

    std::span<const std::byte> take(std::uint64_t count) {
        const auto taken = bytes_.subspan(static_cast<std::size_t>(at_), static_cast<std::size_t>(count));
        at_ += count;
        return taken;
    }

    /// A length and that many bytes.
    std::string_view text(const char* what, std::uint64_t limit, const char* code = "GG-LENGTH") {
        const auto length = number<std::uint64_t>(what);
        if (length > remaining()) {
            fail("GG-LENGTH", std::string(what) + " claims " + std::to_string(length) + " bytes, " +
                                  std::to_string(remaining()) + " are left in the file.");
        }
        if (length > limit) {
            fail(code, std::string(what) + " has " + std::to_string(length) + " bytes; at most " +
                           std::to_string(limit) + " are allowed.");
        }
        const auto bytes = take(length);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

  private:
    std::span<const std::byte> bytes_;
    const std::string& file_;
    std::uint64_t at_ = 0;
};

bool boolean(Cursor& in, std::string_view key) {
    const auto byte = in.number<std::uint8_t>("a truth value");
    if (byte > 1) {
        in.fail("GG-VALUE", "the metadata '" + printable(key) + "' has the truth value " +
                                std::to_string(byte) + ", which is neither 0 nor 1.");
    }
    return byte == 1;
}

MetadataList list(Cursor& in, std::string_view key) {
    const std::string name = "the metadata '" + printable(key) + "'";
    const auto type = in.number<std::uint32_t>("a list's type");
    if (type >= element_bytes.size() || type == static_cast<std::uint32_t>(Type::list)) {
        in.fail("GG-VALUE", name + " is a list of " +
                                (type == static_cast<std::uint32_t>(Type::list)
                                     ? std::string("lists, which this program does not read.")
                                     : "values of type " + std::to_string(type) + ", which does not exist."));
    }
    MetadataList result;
    result.type = static_cast<Type>(type);
    result.count = in.number<std::uint64_t>("a list's length");
    if (result.count > max_list || result.count * element_bytes[type] > in.remaining()) {
        in.fail("GG-LENGTH", name + " claims " + std::to_string(result.count) + " elements; " +
                                 std::to_string(in.remaining()) + " bytes are left in the file and at most " +
                                 std::to_string(max_list) + " elements are allowed.");
    }
    Cursor elements = in;
    if (result.type == Type::text) {
        for (std::uint64_t i = 0; i < result.count; ++i) {
            elements.text("a text of a list", max_text);
        }
    } else if (result.type == Type::boolean) {
        for (std::uint64_t i = 0; i < result.count; ++i) {
            boolean(elements, key);
        }
    } else {
        elements.take(result.count * element_bytes[type]);
    }
    result.bytes = in.take(elements.at() - in.at());
    return result;
}

/// The decimal number a person wrote: 1e-06 stays that and does not become 9.9999999747524271e-07.
double as_written(float stored) {
    std::array<char, 32> digits;
    const auto [end, failed] = std::to_chars(digits.data(), digits.data() + digits.size(), stored);
    double value = stored;
    if (failed == std::errc()) {
        std::from_chars(digits.data(), end, value);
    }
    return value;
}

MetadataValue value(Cursor& in, std::string_view key) {
    const auto type = in.number<std::uint32_t>("a value's type");
    const char* what = "a value of the metadata";
    switch (static_cast<Type>(type)) {
    case Type::u8:
        return std::uint64_t{in.number<std::uint8_t>(what)};
    case Type::i8:
        return std::int64_t{in.number<std::int8_t>(what)};
    case Type::u16:
        return std::uint64_t{in.number<std::uint16_t>(what)};
    case Type::i16:
        return std::int64_t{in.number<std::int16_t>(what)};
    case Type::u32:
        return std::uint64_t{in.number<std::uint32_t>(what)};
    case Type::i32:
        return std::int64_t{in.number<std::int32_t>(what)};
    case Type::f32:
        return as_written(in.number<float>(what));
    case Type::boolean:
        return boolean(in, key);
    case Type::text:
        return in.text("a text of the metadata", max_text);
    case Type::list:
        return list(in, key);
    case Type::u64:
        return in.number<std::uint64_t>(what);
    case Type::i64:
        return in.number<std::int64_t>(what);
    case Type::f64:
        return in.number<double>(what);
    }
    in.fail("GG-VALUE", "the metadata '" + printable(key) + "' has a value of type " + std::to_string(type) +
                            ", which does not exist.");
}

void check_count(Cursor& in, std::uint64_t count, const char* what, std::uint64_t least, std::uint64_t most) {
    if (count > in.remaining() / least || count > most) {
        in.fail("GG-COUNT", "the header claims " + std::to_string(count) + " " + what + "; " +
                                std::to_string(in.remaining()) + " bytes are left, room for " +
                                std::to_string(std::min(in.remaining() / least, most)) + ".");
    }
}

void read_version(Cursor& in, GgufFile& file) {
    if (in.remaining() < 4 || std::memcmp(in.take(4).data(), "GGUF", 4) != 0) {
        in.fail("GG-MAGIC", "the file does not begin with \"GGUF\".");
    }
    file.version = in.number<std::uint32_t>("the version");
    if (file.version == 0x02000000 || file.version == 0x03000000) {
        throw Error(ErrorKind::unsupported, "this is a big-endian GGUF file.",
                    {.code = "GG-ENDIAN", .file = file.file_name, .advice = "Export it as little-endian."});
    }
    if (file.version != 2 && file.version != 3) {
        throw Error(ErrorKind::unsupported,
                    "the GGUF version is " + std::to_string(file.version) + "; this program reads 2 and 3.",
                    {.code = "GG-VERSION", .file = file.file_name, .advice = "Export it as version 3."});
    }
}

constexpr std::string_view alignment_key = "general.alignment";

/// The format says u32, and other readers take nothing else. `in` stands before the value's type.
void check_alignment_type(Cursor in) {
    constexpr std::array<const char*, 13> names{"u8",      "i8",     "u16",    "i16", "u32", "i32", "f32",
                                                "boolean", "a text", "a list", "u64", "i64", "f64"};
    const auto type = in.number<std::uint32_t>("a value's type");
    if (type < names.size() && type != static_cast<std::uint32_t>(Type::u32)) {
        in.fail("GG-ALIGN",
                "general.alignment is stored as " + std::string(names[type]) + "; the format has it as u32.");
    }
}

void read_metadata(Cursor& in, std::uint64_t count, GgufFile& file) {
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::string_view key = in.text("a key of the metadata", max_key, "GG-KEY");
        if (key.empty() || !is_valid_utf8(key)) {
            in.fail("GG-KEY", "metadata " + std::to_string(i + 1) + " of " + std::to_string(count) +
                                  (key.empty() ? " has no name." : " has a name that is not UTF-8."));
        }
        if (key == alignment_key) {
            check_alignment_type(in);
        }
        if (!file.metadata.add(key, value(in, key))) {
            in.fail("GG-KEY", "the metadata '" + printable(key) + "' occurs twice.");
        }
    }
}

void read_alignment(Cursor& in, GgufFile& file) {
    const MetadataValue* stored = file.metadata.find(alignment_key);
    if (!stored) {
        return;
    }
    const auto n = std::get<std::uint64_t>(*stored); // its type has been checked
    if (n < 8 || n > max_alignment || (n & (n - 1)) != 0) {
        in.fail("GG-ALIGN", "general.alignment is " + std::to_string(n) +
                                "; it must be a power of two from 8 to " + std::to_string(max_alignment) +
                                ".");
    }
    file.alignment = n;
}

/// Rank, dimensions and type; `begin` is left as the file has it.
GgufEntry read_tensor(Cursor& in) {
    GgufEntry entry;
    entry.name = in.text("a tensor's name", max_name, "GG-TENSOR");
    if (entry.name.empty() || !is_valid_utf8(entry.name)) {
        in.fail("GG-TENSOR", "a tensor's name is empty or not UTF-8.", entry.name);
    }
    const auto rank = in.number<std::uint32_t>("a tensor's rank");
    if (rank > max_rank) {
        in.fail("GG-TENSOR",
                "it has " + std::to_string(rank) + " dimensions; at most " + std::to_string(max_rank) +
                    " are allowed.",
                entry.name);
    }
    std::int64_t count = 1, fastest = 1;
    for (std::uint32_t k = 0; k < rank; ++k) {
        const auto n = in.number<std::uint64_t>("a tensor's dimensions");
        if (n > std::uint64_t{std::numeric_limits<std::int64_t>::max()} ||
            __builtin_mul_overflow(count, static_cast<std::int64_t>(n), &count)) {
            in.fail("GG-TENSOR",
                    "its dimension " + std::to_string(n) + " makes it larger than 63 bits can count.",
                    entry.name);
        }
        fastest = k == 0 ? static_cast<std::int64_t>(n) : fastest;
        entry.shape.insert(entry.shape.begin(), static_cast<std::int64_t>(n));
    }
    const auto number = in.number<std::uint32_t>("a tensor's type");
    const GgufType* type = find_gguf_type(number);
    if (!type) {
        in.fail("GG-TYPE",
                "its type has the number " + std::to_string(number) +
                    (is_removed_gguf_type(number) ? ", which was removed from the format."
                                                  : ", which is not known."),
                entry.name);
    }
    if (fastest % type->elements != 0) {
        in.fail("GG-TYPE",
                "its rows have " + std::to_string(fastest) + " elements, which is no multiple of the " +
                    std::to_string(type->elements) + " that " + std::string(type->name) + " stores together.",
                entry.name);
    }
    entry.stored_type = type->name;
    entry.dtype = type->dtype;
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(count / type->elements), type->bytes, &bytes)) {
        in.fail("GG-TENSOR", "its shape " + to_string(entry.shape) + " is too large.", entry.name);
    }
    entry.begin = in.number<std::uint64_t>("a tensor's offset");
    entry.end = bytes; // made absolute once the offset has been checked
    return entry;
}

std::uint64_t padded(std::uint64_t bytes, std::uint64_t alignment) {
    return (bytes + alignment - 1) / alignment * alignment;
}

void read_tensors(Cursor& in, std::uint64_t count, GgufFile& file) {
    file.entries.reserve(static_cast<std::size_t>(count));
    std::uint64_t expected = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        GgufEntry entry = read_tensor(in);
        if (entry.begin != expected) {
            in.fail("GG-OFFSET",
                    "its data begins at " + std::to_string(entry.begin) +
                        ", but the tensors before it end at " + std::to_string(expected) +
                        " with their padding.",
                    entry.name);
        }
        constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max() - 2 * max_alignment;
        if (entry.end > most - expected) {
            in.fail("GG-TENSOR", "its end is beyond what 64 bits can count.", entry.name);
        }
        entry.end += entry.begin;
        expected = padded(entry.end, file.alignment);
        file.entries.push_back(std::move(entry));
    }
    std::vector<std::uint32_t> by_name(file.entries.size());
    std::iota(by_name.begin(), by_name.end(), 0u);
    const auto& all = file.entries;
    std::sort(by_name.begin(), by_name.end(), [&](auto a, auto b) { return all[a].name < all[b].name; });
    const auto twice = std::adjacent_find(by_name.begin(), by_name.end(),
                                          [&](auto a, auto b) { return all[a].name == all[b].name; });
    if (twice != by_name.end()) {
        in.fail("GG-TENSOR", "two tensors have this name.", all[*twice].name);
    }
}

/// The tensor data must be there; what follows it is only odd.
void find_data(Cursor& in, std::span<const std::byte> bytes, GgufFile& file) {
    if (file.entries.empty()) {
        return;
    }
    const std::uint64_t start = padded(in.at(), file.alignment), needed = file.entries.back().end;
    if (start > bytes.size() || needed > bytes.size() - start) {
        throw Error(
            ErrorKind::format,
            "the tensors need " + std::to_string(needed) + " bytes after a header of " +
                std::to_string(start) + ", the file has " + std::to_string(bytes.size()) + " in all.",
            {.code = "F-TRUNCATED", .file = file.file_name, .advice = "Download it again; it is cut off."});
    }
    const std::uint64_t after = bytes.size() - start - needed;
    if (after >= file.alignment) {
        file.warnings.push_back("F-TRAILING: " + std::to_string(after) + " bytes follow the last tensor of " +
                                file.file_name + ".");
    }
    file.data = bytes.subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(needed));
}

} // namespace

GgufFile read_gguf(std::shared_ptr<const MappedFile> file) {
    const auto bytes = file->bytes();
    std::string name = file->name();
    return read_gguf(bytes, std::move(file), std::move(name));
}

GgufFile read_gguf(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                   std::string file_name) {
    GgufFile file;
    file.metadata = TypedMetadata(file_name);
    file.file_name = std::move(file_name);
    file.owner = std::move(owner);
    Cursor in(bytes, file.file_name);
    read_version(in, file);
    const auto tensors = in.number<std::uint64_t>("the number of tensors");
    const auto metadata = in.number<std::uint64_t>("the number of metadata");
    check_count(in, metadata, "metadata", least_metadata, max_metadata);
    check_count(in, tensors, "tensors", least_tensor, max_tensors);
    read_metadata(in, metadata, file);
    read_alignment(in, file);
    check_count(in, tensors, "tensors", least_tensor, max_tensors);
    read_tensors(in, tensors, file);
    find_data(in, bytes, file);
    return file;
}

const GgufEntry* GgufFile::find(std::string_view name) const {
    const auto found =
        std::find_if(entries.begin(), entries.end(), [&](const GgufEntry& e) { return e.name == name; });
    return found == entries.end() ? nullptr : &*found;
}

Tensor GgufFile::tensor(const GgufEntry& entry) const {
    if (!entry.dtype) {
        throw Error(ErrorKind::unsupported,
                    "its values are of type " + std::string(entry.stored_type) +
                        ", which this program cannot run.",
                    {.code = "GG-TYPE",
                     .file = file_name,
                     .tensor = printable(entry.name),
                     .advice = "Get a file in F16, BF16, Q8_0, Q6_K, Q5_K, Q4_K, Q5_0, Q5_1, Q4_0 or Q4_1."});
    }
    return Tensor(*entry.dtype, entry.shape,
                  data.subspan(static_cast<std::size_t>(entry.begin),
                               static_cast<std::size_t>(entry.end - entry.begin)),
                  owner);
}

void check_gguf_parts(const std::vector<GgufFile>& parts) {
    const auto fail = [](const GgufFile& part, const std::string& what) {
        throw Error(ErrorKind::format, what,
                    {.code = "GG-SPLIT",
                     .file = part.file_name,
                     .advice = "Put all parts of one model into one folder, as they were published."});
    };
    const bool is_split = parts.size() > 1 || parts.at(0).metadata.integer("split.count").value_or(1) > 1;
    if (!is_split) {
        return;
    }
    std::int64_t tensors = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::int64_t number = parts[i].metadata.integer("split.no").value_or(-1);
        const std::int64_t count = parts[i].metadata.integer("split.count").value_or(-1);
        if (number != static_cast<std::int64_t>(i) || count != static_cast<std::int64_t>(parts.size())) {
            const auto said = [](std::int64_t n) {
                return n < 0 ? std::string("no number") : std::to_string(n);
            };
            fail(parts[i], "it should be part " + std::to_string(i + 1) + " of " +
                               std::to_string(parts.size()) + ", but its metadata says split.no " +
                               said(number) + " (from 0) and split.count " + said(count) + ".");
        }
        tensors += static_cast<std::int64_t>(parts[i].entries.size());
    }
    const auto announced = parts[0].metadata.integer("split.tensors.count");
    if (announced && *announced != tensors) {
        fail(parts[0], "it announces " + std::to_string(*announced) + " tensors, the parts hold " +
                           std::to_string(tensors) + ".");
    }
}

} // namespace ergo
