// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/shard_index.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/mapped_file.h"

#include <algorithm>
#include <set>

namespace ergo {

namespace {

constexpr std::uint64_t max_index_bytes = std::uint64_t{64} << 20;
constexpr std::size_t max_members = 1'000'000;

/// Collects weight_map and metadata.total_size, passes over the rest.
class IndexBuilder final : public JsonEvents {
  public:
    std::map<std::string, std::string> map;
    std::optional<std::uint64_t> total_size;
    bool has_map = false;
    std::string wrong; ///< first member of weight_map that is not a text

    bool key(std::string& name) override {
        if (depth_ == 1) {
            section_ = name;
        }
        key_ = std::move(name);
        return true;
    }
    bool start_object(std::size_t) override { return open(true); }
    bool start_array(std::size_t) override { return open(false); }
    bool end_object() override { return --depth_, true; }
    bool end_array() override { return --depth_, true; }
    bool string(std::string& text) override {
        if (in_map()) {
            map.emplace(std::move(key_), std::move(text));
            return true;
        }
        return other();
    }
    bool number_unsigned(std::uint64_t value) override {
        if (depth_ == 2 && section_ == "metadata" && key_ == "total_size") {
            total_size = value;
        }
        return other();
    }
    bool number_integer(std::int64_t) override { return other(); }
    bool number_float(double, const std::string&) override { return other(); }
    bool boolean(bool) override { return other(); }
    bool null() override { return other(); }

  private:
    bool in_map() const { return depth_ == 2 && section_ == "weight_map" && has_map; }
    bool open(bool object) {
        if (depth_ == 1 && section_ == "weight_map" && object) {
            has_map = true;
        } else {
            other();
        }
        ++depth_;
        return true;
    }
    bool other() {
        if (in_map() && wrong.empty()) {
            wrong = key_;
        }
        return true;
    }

    int depth_ = 0;
    std::string section_, key_;
};

bool is_bare_name(const std::string& name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find_first_of(std::string_view("/\\:\0", 4)) == std::string::npos;
}

} // namespace

ShardIndex read_shard_index(const std::filesystem::path& path) {
    const std::string file = printable(path.filename().string());
    const auto fail = [&](const char* code, const std::string& what) {
        throw Error(ErrorKind::format, what,
                    {.code = code, .file = file, .advice = "Download the index again."});
    };
    std::string whole = read_text_file(path, max_index_bytes);
    std::string_view text = whole;
    if (text.starts_with("\xEF\xBB\xBF")) {
        text.remove_prefix(3);
    }
    // A member's place in every table made of it, as measured, beside the texts themselves.
    constexpr std::uint64_t cost = 250;
    const std::uint64_t left = memory_for(text.size()) - std::min(memory_for(text.size()), 2 * text.size());
    const std::size_t most = std::min<std::uint64_t>(max_members, left / cost);
    const JsonProblem problem = check_strict_json(text, most);
    if (problem || !is_valid_utf8(text)) {
        fail("F-JSON", "the index is not valid JSON: " +
                           (problem.too_many_members
                                ? "it has more than " + std::to_string(most) +
                                      " members, the limit for its " + std::to_string(text.size()) + " bytes"
                            : problem ? problem.what
                                      : "it is not UTF-8") +
                           " (" + line_and_column(text, problem.offset) + ").");
    }
    IndexBuilder builder;
    replay_json(text, builder);
    if (!builder.wrong.empty()) {
        fail("SI-MAP", "the index names no file for tensor '" + printable(builder.wrong) + "'.");
    }
    if (builder.map.empty()) {
        fail("SI-MAP", "the index has no weight_map, or an empty one.");
    }
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : builder.map) {
        if (!is_bare_name(shard)) {
            fail("SI-PATH",
                 "the index names '" + printable(shard) + "', which is not the name of a file beside it.");
        }
        shards.insert(shard);
    }
    ShardIndex index{file, {shards.begin(), shards.end()}, {}, builder.total_size};
    for (const auto& [tensor, shard] : builder.map) {
        const auto at = std::lower_bound(index.shards.begin(), index.shards.end(), shard);
        index.map.emplace(tensor, static_cast<std::size_t>(at - index.shards.begin()));
    }
    return index;
}

} // namespace ergo
