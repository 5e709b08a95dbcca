// SPDX-License-Identifier: GPL-3.0-or-later
// Reading safetensors. The header is hostile until proven otherwise: one pass over the JSON checks its syntax
// and duplicate members and builds entries that nobody looks at before it has ended; only then sizes and
// offsets are compared.
#include "engine/checkpoint/safetensors.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/sniff.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

namespace ergo {

namespace {

constexpr std::uint64_t max_header_bytes = 100'000'000; // the reference reader's limit
constexpr std::size_t max_tensors = 1'000'000;
constexpr std::size_t max_metadata = 100'000;
constexpr std::size_t max_dimensions = 64;
constexpr std::string_view metadata_name = "__metadata__";

struct StoredType {
    std::string_view name;
    unsigned bits;
    std::optional<DType> dtype;
};

constexpr std::array<StoredType, 22> stored_types{{
    {"F32", 32, DType::f32},          {"F16", 16, DType::f16},      {"BF16", 16, DType::bf16},
    {"F64", 64, DType::f64},          {"I64", 64, DType::i64},      {"I32", 32, DType::i32},
    {"I16", 16, DType::i16},          {"I8", 8, DType::i8},         {"U64", 64, DType::u64},
    {"U32", 32, DType::u32},          {"U16", 16, DType::u16},      {"U8", 8, DType::u8},
    {"BOOL", 8, DType::boolean},      {"C64", 64, std::nullopt},    {"F8_E4M3", 8, std::nullopt},
    {"F8_E5M2", 8, std::nullopt},     {"F8_E8M0", 8, std::nullopt}, {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F8_E5M2FNUZ", 8, std::nullopt}, {"F6_E2M3", 6, std::nullopt}, {"F6_E3M2", 6, std::nullopt},
    {"F4", 4, std::nullopt},
}};

const StoredType* find_type(std::string_view name) {
    const auto found = std::find_if(stored_types.begin(), stored_types.end(),
                                    [&](const StoredType& t) { return t.name == name; });
    return found == stored_types.end() ? nullptr : &*found;
}

[[noreturn]] void malformed(const std::string& file, const char* code, const std::string& what,
                            const std::string& tensor = {}) {
    throw Error(ErrorKind::format, what,
                {.code = code,
                 .file = file,
                 .tensor = tensor.empty() ? std::string() : printable(tensor),
                 .advice = "Download or export the file again."});
}

/// Builds entries and metadata out of JSON that is well formed as far as it has been read. The first mistake
/// of each kind is kept, because a mistake in the metadata is reported before one in an entry.
class HeaderBuilder final : public JsonEvents {
  public:
    HeaderBuilder(SafetensorsFile& file, std::uint64_t file_bytes)
        : file_(file), file_bytes_(file_bytes), left_(memory_for(file_bytes)) {}

    void check() const {
        if (too_many_tensors_) {
            throw Error(ErrorKind::resources,
                        "its " + std::to_string(file_.entries.size()) +
                            " tensors and more would take more memory than a file of " +
                            std::to_string(file_bytes_) + " bytes may (" +
                            std::to_string(memory_for(file_bytes_)) + ").",
                        {.code = "F-TOO-LARGE", .file = file_.file_name, .advice = "Split the file."});
        }
        if (!metadata_error_.empty()) {
            malformed(file_.file_name, "ST-METADATA", metadata_error_);
        }
        if (too_much_metadata_) {
            throw Error(
                ErrorKind::resources,
                "the metadata has more than " + std::to_string(max_metadata) + " members.",
                {.code = "F-TOO-LARGE", .file = file_.file_name, .advice = "Export the file without it."});
        }
        if (!entry_error_.empty()) {
            malformed(file_.file_name, "ST-ENTRY", entry_error_, wrong_entry_);
        }
    }

    bool key(std::string& name) override {
        if (depth_ == 1) {
            key_ = std::move(name);
            in_metadata_ = key_ == metadata_name;
        } else if (depth_ == 2 && in_metadata_) {
            key_ = std::move(name);
        } else if (depth_ == 2) {
            member_ = name == "dtype"          ? Member::dtype
                      : name == "shape"        ? Member::shape
                      : name == "data_offsets" ? Member::offsets
                                               : Member::other;
            if (member_ == Member::other) {
                entry_error("the unknown member '" + printable(name) + "' stands in its entry.");
            }
        }
        return true;
    }

    bool start_object(std::size_t) override {
        if (depth_ >= 2) {
            wrong_place("an object");
        }
        if (++depth_ == 2 && !in_metadata_) {
            entry_ = TensorEntry{};
            entry_.name = std::move(key_);
            offsets_.clear();
            seen_type_ = seen_shape_ = seen_offsets_ = false;
        }
        return true;
    }

    bool end_object() override {
        if (--depth_ == 1 && !in_metadata_) {
            return finish_entry();
        }
        return true;
    }

    bool start_array(std::size_t) override {
        const bool expected =
            depth_ == 2 && !in_metadata_ && (member_ == Member::shape || member_ == Member::offsets);
        if (!expected) {
            wrong_place("an array");
        }
        ++depth_;
        if (expected) {
            (member_ == Member::shape ? seen_shape_ : seen_offsets_) = true;
        }
        return true;
    }

    bool end_array() override {
        --depth_;
        return true;
    }

    bool string(std::string& text) override {
        if (depth_ == 2 && in_metadata_) {
            if (file_.metadata.size() >= max_metadata) {
                too_much_metadata_ = true;
            } else {
                file_.metadata.emplace(std::move(key_), std::move(text));
            }
        } else if (depth_ == 2 && member_ == Member::dtype) {
            seen_type_ = true;
            const StoredType* type = find_type(text);
            if (!type) {
                entry_error("the type '" + printable(text, 40) + "' is not known.");
                return true;
            }
            entry_.stored_type = type->name;
            entry_.dtype = type->dtype;
        } else {
            wrong_place("a text");
        }
        return true;
    }

    bool number_unsigned(std::uint64_t value) override {
        if (depth_ != 3 || in_metadata_) {
            wrong_place("a number");
        } else if (member_ == Member::shape) {
            add_dimension(value);
        } else if (offsets_.size() < 3) {
            offsets_.push_back(value);
        }
        return true;
    }

    bool number_integer(std::int64_t value) override {
        return wrong_place("the negative number " + std::to_string(value));
    }
    bool number_float(double, const std::string& text) override {
        return wrong_place("the number " + printable(text, 40) + ", which is not an integer of 64 bits,");
    }
    bool null() override { return wrong_place("null"); }
    bool boolean(bool) override { return wrong_place("a truth value"); }

  private:
    enum class Member { dtype, shape, offsets, other };

    void entry_error(const std::string& what) {
        if (entry_error_.empty()) {
            entry_error_ = what;
            wrong_entry_ = depth_ >= 2 ? entry_.name : key_;
        }
    }

    bool wrong_place(const std::string& what) {
        if (in_metadata_) {
            if (metadata_error_.empty()) {
                metadata_error_ = depth_ < 2
                                      ? "the metadata is not an object of texts: " + what + " stands there."
                                      : "the metadata member '" + printable(key_) + "' is not a text.";
            }
        } else {
            entry_error(what + " stands where the format has none.");
        }
        return true;
    }

    void add_dimension(std::uint64_t value) {
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            entry_error("the dimension " + std::to_string(value) + " is too large.");
        } else if (entry_.shape.size() >= max_dimensions) {
            entry_error("it has more than " + std::to_string(max_dimensions) + " dimensions.");
        } else {
            entry_.shape.push_back(static_cast<std::int64_t>(value));
        }
    }

    bool finish_entry() {
        if (!entry_error_.empty()) {
            return true; // the file is refused in any case; keep only looking at the metadata
        }
        if (!seen_type_ || !seen_shape_ || !seen_offsets_ || offsets_.size() != 2) {
            depth_ = 2;
            entry_error("its entry lacks dtype, shape or a pair of data_offsets.");
            depth_ = 1;
            return true;
        }
        // What it takes here and in every table that it goes into when it is opened, as measured.
        const std::uint64_t cost = 550 + 3 * entry_.name.size() + 16 * entry_.shape.size();
        too_many_tensors_ = cost > left_;
        if (too_many_tensors_) {
            return false;
        }
        left_ -= cost;
        entry_.begin = offsets_[0];
        entry_.end = offsets_[1];
        entry_.shape.shrink_to_fit();
        file_.entries.push_back(std::move(entry_));
        return true;
    }

    SafetensorsFile& file_;
    std::uint64_t file_bytes_, left_; // left_: of the memory that the file justifies
    bool too_many_tensors_ = false;
    int depth_ = 0;
    std::string key_; // the member in progress: of the header, or of the metadata
    bool in_metadata_ = false;
    Member member_ = Member::other;
    TensorEntry entry_;
    std::vector<std::uint64_t> offsets_;
    bool seen_type_ = false, seen_shape_ = false, seen_offsets_ = false, too_much_metadata_ = false;
    std::string metadata_error_, entry_error_, wrong_entry_;
};

/// Rules 1 to 3: the header's text.
std::string_view header_text(std::span<const std::byte> bytes, const std::string& file) {
    if (bytes.size() < 8) {
        malformed(file, "ST-SHORT",
                  "the file has " + std::to_string(bytes.size()) + " bytes; a header needs 8.");
    }
    std::uint64_t n = 0;
    for (std::size_t i = 8; i-- > 0;) {
        n = n << 8 | static_cast<std::uint64_t>(bytes[i]);
    }
    if (n > max_header_bytes) {
        malformed(file, "ST-HEADER-SIZE",
                  "the header claims " + std::to_string(n) + " bytes; at most " +
                      std::to_string(max_header_bytes) + " are allowed.");
    }
    if (n > bytes.size() - 8) {
        malformed(file, "ST-HEADER-SIZE",
                  "the header needs " + std::to_string(8 + n) + " bytes, the file has " +
                      std::to_string(bytes.size()) + ".");
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, n);
    if (!text.starts_with('{') || !is_valid_utf8(text)) {
        malformed(file, "ST-HEADER-TEXT",
                  "the header of " + std::to_string(n) + " bytes is not UTF-8 text that starts with '{'.");
    }
    return text;
}

/// Rule 4, the caps that keep the entries few, and the entries.
void read_json(std::string_view text, HeaderBuilder& builder, const std::string& file) {
    const std::size_t end = text.find_last_not_of(' ');
    if (text[end] != '}') {
        malformed(file, "ST-JSON", "the header does not end with '}' and spaces.");
    }
    const JsonProblem problem = check_strict_json(text.substr(0, end + 1), max_tensors, &builder);
    if (problem.too_many_members) {
        throw Error(ErrorKind::resources,
                    "the header has more than " + std::to_string(max_tensors) + " tensors.",
                    {.code = "F-TOO-LARGE", .file = file, .advice = "Split the file."});
    }
    if (problem) {
        throw Error(ErrorKind::format, "the header is not strict JSON: " + problem.what + ".",
                    {.code = "ST-JSON",
                     .file = file,
                     .offset = 8 + problem.offset,
                     .advice = "Download or export the file again."});
    }
}

/// Rule 7 for one entry.
void check_size(const TensorEntry& entry, const std::string& file) {
    const auto shown = [&] {
        return "shape " + to_string(entry.shape).substr(0, 200) + " of " + std::string(entry.stored_type);
    };
    std::uint64_t bits = find_type(entry.stored_type)->bits;
    for (const std::int64_t n : entry.shape) {
        if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(n), &bits)) {
            malformed(file, "ST-SIZE", shown() + " is too large for 64 bits.", entry.name);
        }
    }
    if (entry.begin > entry.end) {
        malformed(file, "ST-SIZE",
                  "its data begins at " + std::to_string(entry.begin) + " and ends before, at " +
                      std::to_string(entry.end) + ".",
                  entry.name);
    }
    if (bits % 8 != 0 || bits / 8 != entry.end - entry.begin) {
        malformed(file, "ST-SIZE",
                  shown() + " needs " + std::to_string(bits) + " bits, its data has " +
                      std::to_string(entry.end - entry.begin) + " bytes.",
                  entry.name);
    }
}

/// Rules 8 and 9: the tensors tile the data buffer exactly.
void check_layout(SafetensorsFile& file, std::uint64_t data_start, std::uint64_t file_size) {
    const auto before = [](const TensorEntry& a, const TensorEntry& b) {
        return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    };
    if (!std::is_sorted(file.entries.begin(), file.entries.end(), before)) { // most files are
        std::sort(file.entries.begin(), file.entries.end(), before);
    }
    std::uint64_t expected = 0;
    for (const TensorEntry& entry : file.entries) {
        if (entry.begin != expected) {
            malformed(file.file_name, "ST-OFFSETS",
                      "its data begins at " + std::to_string(entry.begin) + ", the tensor before ends at " +
                          std::to_string(expected) +
                          (entry.begin < expected ? ": they overlap." : ": a gap."),
                      entry.name);
        }
        expected = entry.end;
    }
    const std::uint64_t available = file_size - data_start;
    if (expected > available) {
        throw Error(
            ErrorKind::format,
            "the tensors need " + std::to_string(expected) + " bytes after a header of " +
                std::to_string(data_start) + ", the file has " + std::to_string(file_size) + " in all.",
            {.code = "F-TRUNCATED", .file = file.file_name, .advice = "Download it again; it is cut off."});
    }
    if (expected < available) {
        malformed(file.file_name, "F-TRAILING",
                  std::to_string(available - expected) + " bytes follow the last tensor.");
    }
}

} // namespace

SafetensorsFile read_safetensors(std::shared_ptr<const MappedFile> file) {
    const auto bytes = file->bytes();
    std::string name = file->name();
    return read_safetensors(bytes, std::move(file), std::move(name));
}

SafetensorsFile read_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                 std::string file_name) {
    const FileKind kind = bytes.empty() ? FileKind::unknown : sniff(bytes);
    if (bytes.empty() || kind != FileKind::unknown) { // damaged files get the more precise sentences below
        require_kind(FileKind::safetensors, kind, bytes, file_name);
    }
    SafetensorsFile file;
    file.file_name = std::move(file_name);
    file.owner = std::move(owner);
    const std::string_view text = header_text(bytes, file.file_name);
    constexpr std::size_t entry_text = 80; // bytes of a short entry
    file.entries.reserve(std::min(max_tensors / 10, text.size() / entry_text));
    HeaderBuilder builder(file, bytes.size());
    read_json(text, builder, file.file_name);
    builder.check();
    for (const TensorEntry& entry : file.entries) {
        check_size(entry, file.file_name);
    }
    check_layout(file, 8 + text.size(), bytes.size());
    file.data = bytes.subspan(8 + text.size());
    return file;
}

void SafetensorsFile::index_names() {
    by_hash.clear();
    by_hash.reserve(entries.size());
    for (const TensorEntry& entry : entries) {
        by_hash.emplace_back(std::hash<std::string_view>()(entry.name),
                             static_cast<std::uint32_t>(by_hash.size()));
    }
    std::sort(by_hash.begin(), by_hash.end());
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
    if (by_hash.empty()) {
        const auto found = std::find_if(entries.begin(), entries.end(),
                                        [&](const TensorEntry& entry) { return entry.name == name; });
        return found == entries.end() ? nullptr : &*found;
    }
    const std::size_t hash = std::hash<std::string_view>()(name);
    auto at = std::lower_bound(by_hash.begin(), by_hash.end(), std::pair(hash, std::uint32_t{0}));
    for (; at != by_hash.end() && at->first == hash; ++at) {
        if (entries[at->second].name == name) {
            return &entries[at->second];
        }
    }
    return nullptr;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
    const TensorEntry* entry = find(name);
    if (!entry) {
        throw Error(ErrorKind::mismatch, "the file has no such tensor.",
                    {.code = "M-MISSING", .file = file_name, .tensor = printable(name)});
    }
    return tensor(*entry);
}

Tensor SafetensorsFile::tensor(const TensorEntry& entry) const {
    if (!entry.dtype) {
        throw Error(ErrorKind::unsupported,
                    "values of type " + std::string(entry.stored_type) + " cannot be used here.",
                    {.code = "M-DTYPE",
                     .file = file_name,
                     .tensor = printable(entry.name),
                     .advice = "Export the model as F32, F16 or BF16."});
    }
    return Tensor(*entry.dtype, entry.shape, data.subspan(entry.begin, entry.end - entry.begin), owner);
}

} // namespace ergo
