// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/torch_writer.h"

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

#include <zlib.h>

#include <cstdint>

namespace ergo {

namespace {

constexpr std::size_t most_bytes = (std::size_t{4} << 30) - (1 << 27); // inside a zip without 64-bit records
constexpr std::size_t alignment = 64;                                  // of every record's bytes

std::string little(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) {
        out += static_cast<char>(value >> (8 * i) & 0xff);
    }
    return out;
}

/// Opcodes of pickle protocol 2, as few as the mapping needs.
class Pickle {
  public:
    Pickle() { out_ = std::string("\x80\x02", 2) + global("collections", "OrderedDict") + ")R("; }

    void add(const std::string& name, std::size_t record, DType type, const Shape& shape) {
        std::int64_t count = element_count(shape);
        out_ += text(name) + global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") +
                global("torch", storage(type)) + text(std::to_string(record)) + text("cpu") + number(count) +
                "tQ" + number(0) + "(";
        std::string strides = "(";
        for (std::size_t axis = 0; axis < shape.size(); ++axis) {
            count /= std::max<std::int64_t>(shape[axis], 1);
            out_ += number(shape[axis]);
            strides += number(count);
        }
        out_ += "t" + strides + "t\x89" + global("collections", "OrderedDict") + ")RtR";
    }

    std::string finish() { return out_ + "u."; }

    /// nullptr for a type that this writer has no storage for.
    static const char* storage(DType type) {
        return type == DType::f32    ? "FloatStorage"
               : type == DType::f16  ? "HalfStorage"
               : type == DType::bf16 ? "BFloat16Storage"
                                     : nullptr;
    }

  private:
    static std::string global(const char* module, const char* name) {
        return std::string("c") + module + "\n" + name + "\n";
    }
    static std::string text(const std::string& value) { return "X" + little(value.size(), 4) + value; }
    static std::string number(std::int64_t value) {
        return value < 256 ? "K" + little(static_cast<std::uint64_t>(value), 1)
                           : "J" + little(static_cast<std::uint64_t>(value), 4);
    }

    std::string out_;
};

class Zip {
  public:
    Zip(AtomicFile& file, std::string folder) : file_(file), folder_(std::move(folder)) {}

    void add(const std::string& name, std::string_view bytes) {
        const std::string path = folder_ + "/" + name;
        const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
        // version, flags, method 0, 1980-01-01, CRC, both sizes, length of the name
        const std::string common = little(20, 2) + little(0, 2) + little(0, 2) + little(0, 2) +
                                   little(33, 2) + little(crc, 4) + little(bytes.size(), 4) +
                                   little(bytes.size(), 4) + little(path.size(), 2);
        const std::uint64_t at = file_.size();
        const std::size_t before = at + 30 + path.size() + 4;
        const std::size_t padding = (alignment - before % alignment) % alignment;
        file_.write(std::string("PK\3\4") + common + little(padding + 4, 2) + path + "FB" +
                    little(padding, 2) + std::string(padding, 'Z'));
        file_.write(bytes);
        directory_ += std::string("PK\1\2") + little(20, 2) + common + little(0, 2) + little(0, 2) +
                      little(0, 2) + little(0, 2) + little(0, 4) + little(at, 4) + path;
        ++count_;
    }

    void finish() {
        const std::uint64_t at = file_.size();
        file_.write(directory_);
        file_.write(std::string("PK\5\6") + little(0, 4) + little(count_, 2) + little(count_, 2) +
                    little(directory_.size(), 4) + little(at, 4) + little(0, 2));
    }

  private:
    AtomicFile& file_;
    std::string folder_, directory_;
    std::uint64_t count_ = 0;
};

void check(const std::vector<std::pair<std::string, Tensor>>& tensors) {
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : tensors) {
        if (!Pickle::storage(tensor.dtype()) || !is_valid_utf8(name)) {
            throw Error(ErrorKind::usage,
                        "'" + printable(name) + "' cannot be written into a PyTorch file: " +
                            (is_valid_utf8(name)
                                 ? "its elements are " + std::string(dtype_name(tensor.dtype())) +
                                       ", not f32, f16 or bf16."
                                 : "its name is not UTF-8."));
        }
        bytes += tensor.bytes().size() + name.size();
    }
    if (bytes > most_bytes || tensors.size() > 65000) {
        throw Error(ErrorKind::usage, std::to_string(tensors.size()) + " tensors of " +
                                          std::to_string(bytes) + " bytes are more than this writer is for.");
    }
}

} // namespace

void write_torch_file(const std::filesystem::path& path,
                      const std::vector<std::pair<std::string, Tensor>>& tensors) {
    check(tensors);
    Pickle pickle;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        pickle.add(tensors[i].first, i, tensors[i].second.dtype(), tensors[i].second.shape());
    }
    AtomicFile file(path);
    Zip zip(file, path.stem().string());
    zip.add("data.pkl", pickle.finish());
    zip.add("byteorder", "little");
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const auto bytes = tensors[i].second.bytes();
        zip.add("data/" + std::to_string(i), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    zip.add("version", "3\n");
    zip.finish();
    file.commit();
}

} // namespace ergo
