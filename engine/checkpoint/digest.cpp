// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/digest.h"

#include "engine/base/atomic_file.h"
#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/checkpoint/mapped_file.h"

#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace ergo {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t piece_bytes = std::size_t{1} << 20; // between two looks at the cancel flag
constexpr std::uint64_t largest_cache = std::uint64_t{16} << 20;
constexpr const char* format_name = "ergosphere-digests";
constexpr std::string_view embedded_mark = "embedded:";

/// A running SHA-256.
class Hash {
  public:
    Hash() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
    }
    void add(const void* data, std::size_t size) { check(EVP_DigestUpdate(context_.get(), data, size) == 1); }
    std::string finish() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
        unsigned size = 0;
        check(EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) == 1);
        std::string text;
        for (unsigned i = 0; i < size; ++i) {
            text += "0123456789abcdef"[bytes[i] >> 4];
            text += "0123456789abcdef"[bytes[i] & 15];
        }
        return text;
    }

  private:
    static void check(bool worked) {
        if (!worked) {
            throw Error(ErrorKind::resources, "The SHA-256 could not be computed.", {.code = "F-DIGEST"});
        }
    }
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// What tells one state of a file from another.
struct Stamp {
    std::uint64_t bytes = 0;
    std::int64_t changed_ns = 0; // since 1970
    bool operator==(const Stamp&) const = default;
};

std::optional<Stamp> stamp_of(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return std::nullopt;
    }
    return Stamp{static_cast<std::uint64_t>(status.st_size),
                 std::int64_t{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec};
}

[[noreturn]] void cannot_read(const fs::path& path, const std::string& why) {
    throw Error(ErrorKind::io, why,
                {.code = "F-IO",
                 .file = printable(path.filename().string()),
                 .advice = "Check that it is still there and nobody writes to it."});
}

std::string key_of(const fs::path& path) {
    std::error_code ignored;
    const fs::path canonical = fs::weakly_canonical(path, ignored);
    return printable((canonical.empty() ? path : canonical).string(), 4096);
}

/// The weight file of that name: in the folder itself, or where an index put it, at most two levels below.
fs::path find_below(const fs::path& folder, const std::string& name) {
    std::error_code problem;
    if (fs::is_regular_file(folder / name, problem)) {
        return folder / name;
    }
    for (fs::recursive_directory_iterator at(folder, problem), end; !problem && at != end;
         at.increment(problem)) {
        if (at.depth() >= 2) {
            at.disable_recursion_pending();
        }
        if (printable(at->path().filename().string()) == name && at->is_regular_file(problem)) {
            return at->path();
        }
    }
    return folder / name;
}

json read_cache(const fs::path& file) {
    try {
        if (!file.empty() && fs::exists(file)) {
            json stored = json::parse(read_text_file(file, largest_cache), nullptr, false);
            if (stored.is_object() && stored.value("format", "") == format_name &&
                stored.value("version", 0) == 1 && stored.contains("files") && stored["files"].is_object()) {
                return stored;
            }
        }
    } catch (const std::exception&) { // as good as none
    }
    return {{"format", format_name}, {"version", 1}, {"files", json::object()}};
}

} // namespace

std::string sha256_of_file(const fs::path& path, const Progress& progress, const CancelToken& cancel) {
    const std::optional<Stamp> before = stamp_of(path);
    std::ifstream in(path, std::ios::binary);
    if (!in || !before) {
        cannot_read(path, "the file cannot be opened.");
    }
    Hash hash;
    std::vector<char> piece(piece_bytes);
    std::uint64_t done = 0;
    while (in) {
        cancel.check();
        in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
        hash.add(piece.data(), static_cast<std::size_t>(in.gcount()));
        done += static_cast<std::uint64_t>(in.gcount());
        if (progress) {
            progress(static_cast<double>(done), static_cast<double>(before->bytes), "hashing");
        }
    }
    if (!in.eof()) {
        cannot_read(path, "the file cannot be read at byte " + std::to_string(done) + ".");
    }
    if (stamp_of(path) != before || done != before->bytes) {
        cannot_read(path, "the file changed while its SHA-256 was computed.");
    }
    return hash.finish();
}

std::string sha256_of(std::span<const std::byte> bytes) {
    Hash hash;
    hash.add(bytes.data(), bytes.size());
    return hash.finish();
}

fs::path DigestCache::default_file() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    if (cache && *cache == '/') {
        return fs::path(cache) / "ergosphere" / "sha256.json";
    }
    return home && *home ? fs::path(home) / ".cache" / "ergosphere" / "sha256.json" : fs::path();
}

std::optional<std::string> DigestCache::find(const fs::path& path) const {
    const std::optional<Stamp> now = stamp_of(path);
    const json stored = read_cache(file_);
    const auto found = stored["files"].find(key_of(path));
    if (!now || found == stored["files"].end() || !found->is_object()) {
        return std::nullopt;
    }
    const json &bytes = found->value("bytes", json()), &changed = found->value("changed_ns", json()),
               &digest = found->value("sha256", json());
    const bool same = bytes.is_number_unsigned() && bytes.get<std::uint64_t>() == now->bytes &&
                      changed.is_number_integer() && changed.get<std::int64_t>() == now->changed_ns &&
                      digest.is_string() && digest.get_ref<const std::string&>().size() == 64;
    return same ? std::optional(digest.get<std::string>()) : std::nullopt;
}

void DigestCache::remember(const fs::path& path, const std::string& digest) const {
    const std::optional<Stamp> now = stamp_of(path);
    if (file_.empty() || !now) {
        return;
    }
    try {
        json stored = read_cache(file_);
        stored["files"][key_of(path)] = {
            {"bytes", now->bytes}, {"changed_ns", now->changed_ns}, {"sha256", digest}};
        fs::create_directories(file_.parent_path());
        AtomicFile out(file_);
        out.write(stored.dump(1) + "\n");
        out.commit();
    } catch (const std::exception&) { // no room, no permission: computed again next time
    }
}

std::string DigestCache::digest(const fs::path& path, const Progress& progress,
                                const CancelToken& cancel) const {
    if (const auto known = find(path)) {
        return *known;
    }
    std::string digest = sha256_of_file(path, progress, cancel);
    remember(path, digest);
    return digest;
}

std::vector<FileOnDisk> weight_files(const Checkpoint& checkpoint) {
    std::vector<FileOnDisk> files;
    if (checkpoint.source().starts_with(embedded_mark)) {
        for (const std::string& name : checkpoint.weight_files()) {
            const EmbeddedFile* file = find_embedded(checkpoint.source().substr(embedded_mark.size()) + name);
            files.push_back({name, {}, file ? file->bytes.size() : 0});
        }
        return files;
    }
    for (const std::string& name : checkpoint.weight_files()) {
        const fs::path path = find_below(checkpoint.folder(), name);
        const std::optional<Stamp> now = stamp_of(path);
        files.push_back({name, path, now ? now->bytes : 0});
    }
    return files;
}

std::string digest_of(const Checkpoint& checkpoint, const FileOnDisk& file, const DigestCache& cache,
                      const Progress& progress, const CancelToken& cancel) {
    if (!file.path.empty()) {
        return cache.digest(file.path, progress, cancel);
    }
    const EmbeddedFile* embedded =
        find_embedded(checkpoint.source().substr(embedded_mark.size()) + file.name);
    return embedded ? sha256_of(embedded->bytes) : std::string();
}

} // namespace ergo
