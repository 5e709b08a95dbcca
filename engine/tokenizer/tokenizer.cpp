// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/tokenizer.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/tokenizer_file.h"
#include "engine/tokenizer/tokenizer_folder.h"

#include <algorithm>
#include <limits>

namespace ergo {

struct Tokenizer::Parts {
    Pipeline pipeline;
    SpecialIds special;
    std::string chat_template;
    std::int32_t size = 0;                // highest id + 1
    std::string bytes;                    // of all tokens, one after another
    std::vector<std::uint32_t> bytes_end; // [id]: where the token's bytes end; they begin where id - 1's end

    bool has(std::int32_t id) const { return pipeline.added.find(id) || pipeline.model.vocabulary().has(id); }
    bool special_id(std::int32_t id) const {
        const AddedToken* token = pipeline.added.find(id);
        return token && token->special;
    }
    std::string_view bytes_of(std::int32_t id) const {
        if (id < 0 || id >= size) {
            return {};
        }
        const auto at = static_cast<std::size_t>(id);
        const std::size_t begin = at == 0 ? 0 : bytes_end[at - 1];
        return std::string_view(bytes).substr(begin, bytes_end[at] - begin);
    }
};

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}

Tokenizer::~Tokenizer() = default;

namespace {

constexpr const char* config_name = "tokenizer_config.json";

SpecialIds special_ids(const TokenizerConfig& config, const Pipeline& pipeline) {
    SpecialIds ids = resolve_special_ids(config, [&](std::string_view token) {
        const auto added = pipeline.added.id_of(token);
        return added ? added : pipeline.model.vocabulary().find(token);
    });
    if (!config.unk.mentioned && !ids.unk) {
        ids.unk = pipeline.model.options().unk;
    }
    return ids;
}

// The working state of one encode call.
class Encoding {
  public:
    Encoding(const Pipeline& pipeline, bool match_special)
        : pipeline_(pipeline), match_special_(match_special), run_(pipeline.pretokenizer),
          raw_bytes_(pipeline.pretokenizer.gives_bytes()) {}

    std::vector<std::int32_t> run(std::string_view text) {
        std::vector<TextPart> parts;
        pipeline_.added.split(text, false, match_special_, parts);
        for (const TextPart& part : parts) {
            part.token ? ids_.push_back(*part.token) : normalize(part.text);
        }
        return std::move(ids_);
    }

  private:
    void normalize(std::string_view text) {
        std::string normalized;
        if (!pipeline_.normalizer.leaves_alone(text)) {
            normalized = pipeline_.normalizer.apply(text);
            text = normalized;
        }
        std::vector<TextPart> parts;
        pipeline_.added.split(text, true, match_special_, parts);
        for (const TextPart& part : parts) {
            part.token ? ids_.push_back(*part.token) : encode_words(part.text);
        }
    }

    void encode_words(std::string_view text) {
        run_.split(text);
        for (std::size_t i = 0; i < run_.count(); ++i) {
            pipeline_.model.encode_word(run_.piece(i), raw_bytes_, work_, ids_);
        }
    }

    const Pipeline& pipeline_;
    bool match_special_;
    PretokenizerRun run_;
    bool raw_bytes_;
    BpeWork work_;
    std::vector<std::int32_t> ids_;
};

} // namespace

std::shared_ptr<const Tokenizer> Tokenizer::make(Pipeline pipeline, const TokenizerConfig& config) {
    const SpecialIds special = special_ids(config, pipeline);
    auto parts =
        std::make_unique<Parts>(Parts{std::move(pipeline), special, config.chat_template, 0, {}, {}});
    const Vocabulary& vocabulary = parts->pipeline.model.vocabulary();
    const AddedTokens& added = parts->pipeline.added;
    parts->size = vocabulary.size();
    for (const AddedToken& token : added.tokens()) {
        parts->size = std::max(parts->size, token.id + 1);
    }
    parts->bytes_end.reserve(static_cast<std::size_t>(parts->size));
    for (std::int32_t id = 0; id < parts->size; ++id) {
        if (const AddedToken* token = added.find(id)) {
            parts->bytes +=
                parts->pipeline.decoder.bytes_of(AddedTokens::surface(*token, parts->pipeline.normalizer));
        } else if (vocabulary.has(id)) {
            parts->bytes += parts->pipeline.decoder.bytes_of(vocabulary.text(id));
        }
        parts->bytes_end.push_back(static_cast<std::uint32_t>(parts->bytes.size()));
    }
    return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(parts)));
}

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json,
                                                      std::string_view tokenizer_config_json,
                                                      const std::string& file_name) {
    const TokenizerConfig config = read_tokenizer_config(tokenizer_config_json, config_name);
    return make(read_tokenizer_json(tokenizer_json, file_name), config);
}

std::shared_ptr<const Tokenizer> Tokenizer::from_vocab_and_merges(std::string_view vocab_json,
                                                                  std::string_view merges_txt,
                                                                  std::string_view tokenizer_config_json,
                                                                  const std::string& file_name) {
    const TokenizerConfig config = read_tokenizer_config(tokenizer_config_json, config_name);
    return make(read_vocab_and_merges(vocab_json, merges_txt, config, file_name), config);
}

std::shared_ptr<const Tokenizer> Tokenizer::from_folder(const std::filesystem::path& folder) {
    const TokenizerFiles files = read_tokenizer_folder(folder);
    if (!files.tokenizer_json && !files.vocab_json) {
        return nullptr;
    }
    TokenizerConfig config = read_tokenizer_config(files.tokenizer_config_json, config_name);
    if (!files.chat_template_jinja.empty()) {
        config.chat_template = files.chat_template_jinja;
    }
    return make(files.tokenizer_json ? read_tokenizer_json(*files.tokenizer_json, "tokenizer.json")
                                     : read_vocab_and_merges(*files.vocab_json, *files.merges, config,
                                                             "vocab.json and merges.txt"),
                config);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
        throw Error(ErrorKind::usage, "the text has " + std::to_string(text.size()) +
                                          " bytes; at most 2147483647 can be encoded at once.");
    }
    std::string repaired;
    if (!is_valid_utf8(text)) {
        repaired = replace_invalid_utf8(text);
        text = repaired;
    }
    std::vector<std::int32_t> ids = Encoding(parts_->pipeline, options.match_special_in_text).run(text);
    return options.add_special_tokens ? parts_->pipeline.post_processor.apply(std::move(ids)) : ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
    const std::string& separator = parts_->pipeline.decoder.separator;
    std::string bytes;
    bool started = false;
    for (const std::int32_t id : ids) {
        if (!parts_->has(id) || (skip_special && parts_->special_id(id))) {
            continue;
        }
        if (started) {
            bytes += separator;
        }
        bytes += parts_->bytes_of(id);
        started = true;
    }
    return replace_invalid_utf8(bytes);
}

std::string Tokenizer::token_bytes(std::int32_t id) const {
    return std::string(parts_->bytes_of(id));
}

std::string Tokenizer::token_text(std::int32_t id) const {
    const AddedToken* added = parts_->pipeline.added.find(id);
    return added ? added->content : std::string(parts_->pipeline.model.vocabulary().text(id));
}

bool Tokenizer::is_special(std::int32_t id) const {
    return parts_->special_id(id);
}

bool Tokenizer::has_token(std::int32_t id) const {
    return parts_->has(id);
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
    const auto added = parts_->pipeline.added.id_of(token);
    return added ? added : parts_->pipeline.model.vocabulary().find(token);
}

std::int32_t Tokenizer::vocab_size() const {
    return parts_->size;
}

std::string Tokenizer::kind() const {
    return parts_->pipeline.pretokenizer.gives_bytes() ? "byte-level BPE" : "BPE";
}

std::optional<std::int32_t> Tokenizer::bos() const {
    return parts_->special.bos;
}

std::optional<std::int32_t> Tokenizer::eos() const {
    return parts_->special.eos;
}

std::optional<std::int32_t> Tokenizer::pad() const {
    return parts_->special.pad;
}

std::optional<std::int32_t> Tokenizer::unk() const {
    return parts_->special.unk;
}

const std::string& Tokenizer::chat_template() const {
    return parts_->chat_template;
}

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

std::string StreamDecoder::push(std::int32_t id) {
    const Tokenizer::Parts& parts = *tokenizer_->parts_;
    if (!parts.has(id) || (skip_special_ && parts.special_id(id))) {
        return {};
    }
    if (started_) {
        held_ += parts.pipeline.decoder.separator;
    }
    held_ += parts.bytes_of(id);
    started_ = true;
    // A character still to be completed can only begin in the last three bytes.
    std::size_t whole = held_.size();
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, held_.size()); ++back) {
        const std::size_t at = held_.size() - back;
        if ((held_[at] & 0xC0) != 0x80) {
            const Utf8Char c = decode_utf8(held_, at);
            whole = c.incomplete && c.length == back ? at : whole;
            break;
        }
    }
    std::string text = replace_invalid_utf8(std::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
    return text;
}

std::string StreamDecoder::finish() {
    std::string text = replace_invalid_utf8(held_);
    held_.clear();
    started_ = false;
    return text;
}

} // namespace ergo
