// SPDX-License-Identifier: GPL-3.0-or-later
// The .npy half: headers and arrays. The zip half is in npz.cpp.
#include "engine/tensor/npy.h"

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/tensor/npy_format.h"

#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>

namespace ergo {

namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::size_t max_header_bytes = 1 << 20;
constexpr std::size_t max_dimensions = 32; // NumPy's own limit before version 2

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie in memory");

[[noreturn]] void malformed(const std::string& file, const char* code, const std::string& what) {
    throw Error(ErrorKind::format, what,
                {.code = code, .file = file, .advice = "Save the array again with numpy.save."});
}

template <class T> NpyArray make(const char* descr, Shape shape, std::span<const T> values) {
    if (element_count(shape) != static_cast<std::int64_t>(values.size())) {
        throw Error(ErrorKind::usage,
                    std::to_string(values.size()) + " values do not fill shape " + to_string(shape) + ".");
    }
    NpyArray array{descr, std::move(shape), {}};
    const auto bytes = std::as_bytes(values);
    array.data.assign(bytes.begin(), bytes.end());
    return array;
}

/// The dictionary literal of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
  public:
    HeaderParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

    NpyHeader parse() {
        expect('{');
        while (peek() != '}') {
            const std::string key = quoted();
            expect(':');
            member(key);
            if (peek() == ',') {
                ++at_;
            } else if (peek() != '}') {
                fail();
            }
        }
        ++at_;
        if (peek() != '\0' || seen_ != 7) {
            fail();
        }
        return header_;
    }

  private:
    void member(const std::string& key) {
        const auto once = [this](unsigned bit) {
            if (seen_ & bit) {
                fail();
            }
            seen_ |= bit;
        };
        if (key == "descr") {
            once(1);
            if (peek() != '\'' && peek() != '"') { // a list: a structured type
                throw Error(
                    ErrorKind::unsupported, "the array holds structures, not numbers.",
                    {.code = "NPY-DTYPE", .file = file_, .advice = "Save each field as its own array."});
            }
            header_.descr = quoted();
        } else if (key == "fortran_order") {
            once(2);
            header_.fortran_order = word("True");
            if (!header_.fortran_order && !word("False")) {
                fail();
            }
        } else if (key == "shape") {
            once(4);
            shape();
        } else {
            fail();
        }
    }

    void shape() {
        expect('(');
        while (peek() != ')') {
            header_.shape.push_back(number());
            if (header_.shape.size() > max_dimensions) {
                malformed(file_, "NPY-HEADER", "the array has more than 32 dimensions.");
            }
            if (peek() == ',') {
                ++at_;
            } else if (peek() != ')') {
                fail();
            }
        }
        ++at_;
    }

    std::int64_t number() {
        peek();
        std::int64_t value = 0;
        const std::size_t start = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
            const int digit = text_[at_++] - '0';
            if (value > (std::numeric_limits<std::int64_t>::max() - digit) / 10) {
                malformed(file_, "NPY-HEADER", "a dimension does not fit 64 bits.");
            }
            value = value * 10 + digit;
        }
        if (at_ == start) {
            fail();
        }
        return value;
    }

    std::string quoted() {
        const char quote = peek();
        if (quote != '\'' && quote != '"') {
            fail();
        }
        const std::size_t end = text_.find(quote, ++at_);
        if (end == std::string_view::npos) {
            fail();
        }
        std::string value(text_.substr(at_, end - at_));
        at_ = end + 1;
        return value;
    }

    bool word(std::string_view wanted) {
        peek();
        if (text_.substr(at_, wanted.size()) != wanted) {
            return false;
        }
        at_ += wanted.size();
        return true;
    }

    void expect(char wanted) {
        if (peek() != wanted) {
            fail();
        }
        ++at_;
    }

    /// The next character that is not blank, '\0' at the end.
    char peek() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
            ++at_;
        }
        return at_ < text_.size() ? text_[at_] : '\0';
    }

    [[noreturn]] void fail() const {
        malformed(file_, "NPY-HEADER",
                  "the array's header is malformed at its byte " + std::to_string(at_) + ".");
    }

    std::string_view text_;
    const std::string& file_;
    std::size_t at_ = 0;
    unsigned seen_ = 0;
    NpyHeader header_;
};

/// Bytes of one element; refuses what is not a plain number.
std::size_t item_size(const std::string& descr, const std::string& file) {
    if (descr.size() == 3 && (descr[0] == '<' || descr[0] == '|')) {
        const char kind = descr[1], size = descr[2];
        const bool known =
            (kind == 'f' && (size == '2' || size == '4' || size == '8')) ||
            ((kind == 'i' || kind == 'u') && (size == '1' || size == '2' || size == '4' || size == '8')) ||
            (kind == 'b' && size == '1');
        if (known && (descr[0] == '<' || size == '1')) {
            return static_cast<std::size_t>(size - '0');
        }
    }
    throw Error(
        ErrorKind::unsupported, "arrays of type '" + printable(descr) + "' are not supported.",
        {.code = "NPY-DTYPE", .file = file, .advice = "Save a little-endian number type such as float32."});
}

/// Fortran order to C order.
std::vector<std::byte> to_c_order(const std::vector<std::byte>& data, const Shape& shape, std::size_t item) {
    std::vector<std::byte> out(data.size());
    std::vector<std::size_t> index(shape.size(), 0);
    std::vector<std::size_t> stride(shape.size(), 1); // of the source, in elements
    for (std::size_t k = 1; k < shape.size(); ++k) {
        stride[k] = stride[k - 1] * static_cast<std::size_t>(shape[k - 1]);
    }
    std::size_t from = 0;
    for (std::size_t to = 0; to < data.size(); to += item) {
        std::memcpy(out.data() + to, data.data() + from * item, item);
        for (std::size_t k = shape.size(); k-- > 0;) {
            from += stride[k];
            if (++index[k] < static_cast<std::size_t>(shape[k])) {
                break;
            }
            from -= stride[k] * index[k];
            index[k] = 0;
        }
    }
    return out;
}

template <class T> std::vector<double> widen(const std::vector<std::byte>& data) {
    std::vector<double> out(data.size() / sizeof(T));
    for (std::size_t i = 0; i < out.size(); ++i) {
        T value;
        std::memcpy(&value, data.data() + i * sizeof value, sizeof value);
        out[i] = static_cast<double>(value);
    }
    return out;
}

} // namespace

NpyArray NpyArray::from(Shape s, std::span<const float> v) {
    return make("<f4", std::move(s), v);
}
NpyArray NpyArray::from(Shape s, std::span<const double> v) {
    return make("<f8", std::move(s), v);
}
NpyArray NpyArray::from(Shape s, std::span<const std::int32_t> v) {
    return make("<i4", std::move(s), v);
}
NpyArray NpyArray::from(Shape s, std::span<const std::int64_t> v) {
    return make("<i8", std::move(s), v);
}
NpyArray NpyArray::from(Shape s, std::span<const std::uint8_t> v) {
    return make("|u1", std::move(s), v);
}

std::vector<double> NpyArray::to_doubles() const {
    item_size(descr, "");
    const std::string_view type = std::string_view(descr).substr(1);
    if (type == "f2") {
        std::vector<double> out(data.size() / 2);
        for (std::size_t i = 0; i < out.size(); ++i) {
            std::uint16_t bits;
            std::memcpy(&bits, data.data() + 2 * i, 2);
            out[i] = static_cast<double>(f16_to_f32(bits));
        }
        return out;
    }
    return type == "f4"   ? widen<float>(data)
           : type == "f8" ? widen<double>(data)
           : type == "i1" ? widen<std::int8_t>(data)
           : type == "i2" ? widen<std::int16_t>(data)
           : type == "i4" ? widen<std::int32_t>(data)
           : type == "i8" ? widen<std::int64_t>(data)
           : type == "u2" ? widen<std::uint16_t>(data)
           : type == "u4" ? widen<std::uint32_t>(data)
           : type == "u8" ? widen<std::uint64_t>(data)
                          : /* "u1", "b1" */ widen<std::uint8_t>(data);
}

std::string npy_header(const NpyArray& array) {
    if (static_cast<std::size_t>(element_count(array.shape)) * item_size(array.descr, "") !=
        array.data.size()) {
        throw Error(ErrorKind::usage, "shape " + to_string(array.shape) + " of " + array.descr +
                                          " does not match " + std::to_string(array.data.size()) + " bytes.");
    }
    std::string text = "{'descr': '" + array.descr + "', 'fortran_order': False, 'shape': (";
    for (std::size_t k = 0; k < array.shape.size(); ++k) {
        text += (k ? ", " : "") + std::to_string(array.shape[k]);
    }
    text += array.shape.size() == 1 ? ",), }" : "), }";
    // magic, version and a 16-bit length come first; the array starts at a multiple of 64
    text.append(63 - (10 + text.size()) % 64, ' ');
    text += '\n';
    std::string header(magic);
    header += {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
    return header + text;
}

NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& file) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.size() < 12 || !text.starts_with(magic)) {
        malformed(file, "NPY-HEADER", "this is not a NumPy array file.");
    }
    const auto byte = [&](std::size_t i) {
        return static_cast<std::size_t>(static_cast<unsigned char>(text[i]));
    };
    const std::size_t version = byte(6);
    if (version < 1 || version > 3 || byte(7) != 0) {
        malformed(file, "NPY-HEADER",
                  "the array's format version " + std::to_string(version) + "." + std::to_string(byte(7)) +
                      " is not known.");
    }
    const std::size_t start = version == 1 ? 10 : 12;
    const std::size_t length =
        version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
    if (length > max_header_bytes) {
        malformed(file, "NPY-HEADER", "the array's header claims " + std::to_string(length) + " bytes.");
    }
    if (start + length > text.size()) {
        malformed(file, "F-TRUNCATED",
                  "the header needs " + std::to_string(start + length) + " bytes, the file has " +
                      std::to_string(text.size()) + ".");
    }
    NpyHeader header = HeaderParser(text.substr(start, length), file).parse();
    header.data_offset = start + length;
    const auto item = static_cast<std::int64_t>(item_size(header.descr, file));
    const std::int64_t count = element_count(header.shape);
    if (count > std::numeric_limits<std::int64_t>::max() / item) {
        malformed(file, "NPY-SIZE", "shape " + to_string(header.shape) + " is too large.");
    }
    header.data_bytes = static_cast<std::uint64_t>(count * item);
    return header;
}

void check_npy_size(const NpyHeader& header, std::uint64_t total, const std::string& file) {
    const std::uint64_t needed = header.data_offset + header.data_bytes;
    if (total < needed) {
        malformed(file, "F-TRUNCATED",
                  "shape " + to_string(header.shape) + " needs " + std::to_string(needed) +
                      " bytes, there are " + std::to_string(total) + ".");
    }
    if (total > needed) {
        malformed(file, "F-TRAILING", std::to_string(total - needed) + " bytes follow the array.");
    }
}

NpyArray npy_array(const NpyHeader& header, std::vector<std::byte> data) {
    NpyArray array{header.descr, header.shape, std::move(data)};
    if (header.fortran_order && header.shape.size() > 1) {
        array.data = to_c_order(array.data, array.shape, item_size(array.descr, ""));
    }
    return array;
}

void write_npy(const std::filesystem::path& path, const NpyArray& array) {
    const std::string header = npy_header(array);
    AtomicFile file(path);
    file.write(header);
    file.write(array.data);
    file.commit();
}

NpyArray read_npy(const std::filesystem::path& path) {
    const std::string name = printable(path.filename().string());
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    const auto end = in ? static_cast<std::streamoff>(in.tellg()) : std::streamoff{-1};
    if (end < 0 || std::filesystem::is_directory(path)) {
        throw Error(ErrorKind::io, "the file cannot be opened.",
                    {.code = "F-IO", .file = name, .advice = "Check its name and permissions."});
    }
    const auto total = static_cast<std::uint64_t>(end);
    std::vector<std::byte> head(
        static_cast<std::size_t>(std::min<std::uint64_t>(total, max_header_bytes + 12)));
    in.seekg(0).read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
    const NpyHeader header = parse_npy_header(head, name);
    check_npy_size(header, total, name);
    std::vector<std::byte> data(static_cast<std::size_t>(header.data_bytes));
    in.seekg(static_cast<std::streamoff>(header.data_offset))
        .read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
    if (!in) {
        throw Error(ErrorKind::io, "the file cannot be read to its end.",
                    {.code = "F-IO", .file = name, .advice = "Copy it to a local disk and try again."});
    }
    return npy_array(header, std::move(data));
}

} // namespace ergo
