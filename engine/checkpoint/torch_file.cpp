// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/torch_file.h"

#include "engine/base/error.h"
#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/sniff.h"
#include "engine/checkpoint/torch_rebuild.h"
#include "engine/checkpoint/zip_archive.h"

#include <algorithm>
#include <optional>

namespace ergo {

namespace {

constexpr std::string_view pickle_name = "data.pkl";
constexpr std::uint64_t max_pickle_bytes = 256 << 20;
// Checksums are compared for this many bytes of tensors only: all would mean to read the whole file.
constexpr std::uint64_t max_checked_bytes = 16 << 20;

[[noreturn]] void fail(ErrorKind kind, const char* code, const std::string& file, const std::string& what,
                       const std::string& advice) {
    throw Error(kind, what, {.code = code, .file = file, .advice = advice});
}

/// Says what the file is when it is not an archive.
void require_archive(std::span<const std::byte> bytes, const std::string& file) {
    const FileKind kind = bytes.empty() ? FileKind::unknown : sniff(bytes);
    switch (kind) {
    case FileKind::zip:
        return;
    case FileKind::legacy_checkpoint:
        fail(
            ErrorKind::unsupported, "PT-LEGACY", file,
            "this checkpoint has the form that PyTorch wrote before version 1.6, a row of pickles without an "
            "archive.",
            "Save it anew: torch.save(torch.load(old, weights_only=True, map_location='cpu'), new).");
    case FileKind::tar:
        fail(ErrorKind::unsupported, "PT-TAR", file,
             "this is a tar archive, the form of the oldest PyTorch checkpoints.",
             "Load it in a PyTorch you trust it with and save it anew.");
    case FileKind::pickle:
        fail(ErrorKind::unsupported, "PT-LAYOUT", file,
             "this is a bare pickle, not a checkpoint: it holds no tensors in a known form.",
             "Save a state dict with torch.save.");
    default:
        require_kind(FileKind::zip, kind, bytes, file);
    }
}

std::string_view folder_of(std::string_view name) {
    const auto slash = name.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash + 1);
}

/// The one pickle of the archive; refuses archives of programs.
const ZipMember& find_pickle(const ZipArchive& archive, const std::string& file) {
    const ZipMember* pickle = nullptr;
    bool program = false, several = false;
    for (const ZipMember& member : archive.members) {
        const std::string_view name = member.name;
        const std::string_view base = name.substr(folder_of(name).size());
        if (base == pickle_name) {
            several = several || pickle;
            pickle = &member;
        }
        program = program || base == "constants.pkl" || name.starts_with("code/") ||
                  name.find("/code/") != std::string_view::npos;
    }
    if (program) {
        fail(ErrorKind::unsupported, "PT-TORCHSCRIPT", file,
             "this is a TorchScript program, not a set of tensors.",
             "Save its state dict instead: torch.save(model.state_dict(), path).");
    }
    const auto compressed = std::find_if(archive.members.begin(), archive.members.end(),
                                         [](const ZipMember& member) { return member.method != 0; });
    if (compressed != archive.members.end()) {
        fail(ErrorKind::unsupported, "PT-COMPRESSED", file,
             "the member '" + printable(compressed->name) + "' is compressed (method " +
                 std::to_string(compressed->method) + "); a checkpoint stores its members as they are.",
             "Load it where it was written and save it again.");
    }
    if (!pickle || several) {
        fail(ErrorKind::format, "PT-LAYOUT", file,
             several ? "the archive has more than one data.pkl."
                     : "this zip archive of " + std::to_string(archive.members.size()) +
                           " members is no PyTorch checkpoint: it has no data.pkl.",
             "Choose a file that torch.save has written.");
    }
    if (pickle->end - pickle->begin > max_pickle_bytes) {
        fail(ErrorKind::resources, "F-TOO-LARGE", file,
             "data.pkl has " + std::to_string(pickle->end - pickle->begin) + " bytes; at most " +
                 std::to_string(max_pickle_bytes) + " are read.",
             "Save the state dict alone.");
    }
    return *pickle;
}

bool is_big_endian(const ZipArchive& archive, const std::string& folder, const std::string& file) {
    const ZipMember* member = archive.find(folder + "byteorder");
    if (!member) {
        return false;
    }
    const auto bytes = archive.content(*member);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text != "little" && text != "big") {
        fail(ErrorKind::format, "PT-BYTEORDER", file,
             "the byte order is '" + printable(text, 40) + "' instead of little or big.",
             "Download or save the file again.");
    }
    return text == "big";
}

/// A wrong checksum only warns: writers may be told to leave checksums out.
void check_sums(const ZipArchive& archive, const ZipMember& pickle, const TorchRebuilder& rebuilder,
                std::vector<std::string>& warnings) {
    std::vector<const ZipMember*> members{&pickle};
    std::uint64_t bytes = 0;
    for (const auto& [key, member] : rebuilder.used()) {
        bytes += member->end - member->begin;
        if (bytes <= max_checked_bytes) {
            members.push_back(member);
        }
    }
    std::size_t wrong = 0;
    std::string first;
    for (const ZipMember* member : members) {
        if (!archive.checksum_holds(*member) && wrong++ == 0) {
            first = printable(member->name);
        }
    }
    if (wrong) {
        warnings.push_back("PT-CRC: the checksums of " + std::to_string(wrong) + " of " +
                           std::to_string(members.size()) + " members looked at are wrong (first '" + first +
                           "'); either the file is damaged or its writer left them out.");
    }
}

} // namespace

TorchFile read_torch_file(std::shared_ptr<const MappedFile> file) {
    TorchFile read = read_torch_file(file->bytes(), file, file->name());
    file->check_unchanged();
    return read;
}

TorchFile read_torch_file(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                          std::string file_name) {
    require_archive(bytes, file_name);
    const ZipArchive archive = read_zip(bytes, file_name);
    const ZipMember& pickle = find_pickle(archive, file_name);
    const std::string folder(folder_of(pickle.name));
    ReadingBudget budget(bytes.size());
    TorchRebuilder rebuilder(archive, folder, is_big_endian(archive, folder, file_name), std::move(owner),
                             budget);
    TorchFile file{std::move(file_name), {}, {}};
    file.root = read_pickle(archive.content(pickle), pickle.begin, file.file_name, rebuilder, budget);
    check_sums(archive, pickle, rebuilder, file.warnings);
    return file;
}

} // namespace ergo
