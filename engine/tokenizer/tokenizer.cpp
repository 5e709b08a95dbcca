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
    std::vector<ChatTemplateText> templates;
    std::vector<std::pair<std::string, std::string>> named; // "bos_token", its text
    std::vector<std::string> warnings{};
    std::int32_t size = 0; // highest id + 1
    std::string bytes{};   // of all tokens, one after another
    std::vector<std::uint32_t>
        bytes_end{}; // [id]: where the token's bytes end; they begin where id - 1's end

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
    // The token as decoders see it.
    std::string surface(std::int32_t id) const {
        const AddedToken* token = pipeline.added.find(id);
        return token ? AddedTokens::surface(*token, pipeline.normalizer)
                     : std::string(pipeline.model.vocabulary().text(id));
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
        ids.unk = pipeline.model.unk();
    }
    return ids;
}

// The working state of one encode call.
class Encoder {
  public:
    Encoder(const Pipeline& pipeline, const EncodeOptions& options, bool with_positions)
        : pipeline_(pipeline), special_{options.match_special_in_text, options.plain},
          with_positions_(with_positions), run_(pipeline.pretokenizer),
          raw_bytes_(pipeline.pretokenizer.gives_bytes()) {}

    Encoding run(std::string_view text) {
        std::vector<TextPart> parts;
        pipeline_.added.split(text, false, special_, parts);
        for (const TextPart& part : parts) {
            part.token ? add(*part.token, part.begin) : normalize(part);
        }
        return std::move(out_);
    }

  private:
    // Where bytes of a normalised part came from in the text.
    struct Origin {
        std::size_t begin = 0;                // of the part
        std::vector<std::uint32_t> of_byte{}; // [byte], in the part; empty: they are the same
        std::size_t at(std::size_t byte) const {
            return begin + (of_byte.empty() ? byte : of_byte[std::min(byte, of_byte.size() - 1)]);
        }
    };

    void add(std::int32_t id, std::size_t begin) {
        out_.ids.push_back(id);
        if (with_positions_) {
            out_.begin.push_back(begin);
        }
    }

    void normalize(const TextPart& raw) {
        std::string normalized;
        std::string_view text = raw.text;
        Origin origin{raw.begin};
        if (!pipeline_.normalizer.leaves_alone(text)) {
            const bool track = with_positions_ || !special_.plain.empty();
            normalized = pipeline_.normalizer.apply(text, track ? &origin.of_byte : nullptr);
            text = normalized;
        }
        const std::vector<ByteRange> plain = plain_within(text.size(), origin);
        std::vector<TextPart> parts;
        pipeline_.added.split(text, true, {special_.anywhere, plain}, parts);
        for (const TextPart& part : parts) {
            part.token ? add(*part.token, origin.at(part.begin)) : encode_words(part, origin);
        }
    }

    // What is data, in the bytes of a normalised part.
    std::vector<ByteRange> plain_within(std::size_t size, const Origin& origin) const {
        std::vector<ByteRange> ranges;
        for (std::size_t at = 0; at < size && !special_.plain.empty(); ++at) {
            const std::size_t from = origin.at(at);
            if (!SpecialMatching{true, special_.plain}.allows(from, from + 1)) {
                if (ranges.empty() || ranges.back().end != at) {
                    ranges.push_back({at, at});
                }
                ranges.back().end = at + 1;
            }
        }
        return ranges;
    }

    void encode_words(const TextPart& part, const Origin& origin) {
        run_.split(part.text, with_positions_, origin.at(part.begin) == 0);
        for (std::size_t i = 0; i < run_.count(); ++i) {
            const std::size_t first = out_.ids.size();
            pipeline_.model.encode_word(run_.piece(i), raw_bytes_, work_, out_.ids);
            std::size_t offset = 0; // in the piece
            for (std::size_t k = first; with_positions_ && k < out_.ids.size(); ++k) {
                out_.begin.push_back(origin.at(part.begin + run_.begin(i, offset)));
                offset = std::min(offset + length_of(out_.ids[k]), run_.piece(i).size() - 1);
            }
        }
    }

    // Bytes of a piece that a token stands for.
    std::size_t length_of(std::int32_t id) const {
        const std::string_view text = pipeline_.model.vocabulary().text(id);
        if (!raw_bytes_) {
            return text.size();
        }
        return static_cast<std::size_t>( // one character of the alphabet is one byte
            std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    }

    const Pipeline& pipeline_;
    SpecialMatching special_;
    bool with_positions_;
    PretokenizerRun run_;
    bool raw_bytes_;
    BpeWork work_;
    Encoding out_;
};

} // namespace

std::shared_ptr<const Tokenizer> Tokenizer::make(Pipeline pipeline, const TokenizerConfig& config,
                                                 std::vector<ChatTemplateText> templates) {
    const SpecialIds special = special_ids(config, pipeline);
    auto parts =
        std::make_unique<Parts>(Parts{std::move(pipeline), special, std::move(templates), config.named});
    std::stable_partition(parts->templates.begin(), parts->templates.end(),
                          [](const ChatTemplateText& text) { return text.name == "default"; });
    const Vocabulary& vocabulary = parts->pipeline.model.vocabulary();
    const AddedTokens& added = parts->pipeline.added;
    parts->size = vocabulary.size();
    for (const AddedToken& token : added.tokens()) {
        parts->size = std::max(parts->size, token.id + 1);
    }
    parts->bytes_end.reserve(static_cast<std::size_t>(parts->size));
    for (std::int32_t id = 0; id < parts->size; ++id) {
        if (parts->has(id)) {
            parts->bytes += parts->pipeline.decoder.bytes_of(parts->surface(id));
        }
        parts->bytes_end.push_back(static_cast<std::uint32_t>(parts->bytes.size()));
    }
    name_resolved_tokens(*parts);
    parts->warnings = parts->pipeline.warnings;
    Parts& filled = *parts;
    std::shared_ptr<const Tokenizer> made(new Tokenizer(std::move(parts)));
    if (std::string warning = made->round_trip_problem(); !warning.empty()) {
        filled.warnings.push_back(std::move(warning)); // nobody else has the tokenizer yet
    }
    return made;
}

// A byte-level tokenizer must give back the normal form of what it reads.
std::string Tokenizer::round_trip_problem() const {
    const Pipeline& pipeline = parts_->pipeline;
    if (!pipeline.decoder.byte_level || !pipeline.pretokenizer.gives_bytes()) {
        return {};
    }
    static constexpr std::string_view sample =
        "Hello, world! 12 + 34 = 46\n\n\tGrüße, naïve café; Ελλάδα, Привет мир, שלום, مرحبا, नमस्ते, "
        "日本語、한국어 👍🏽 → ∑ \u00a0.";
    EncodeOptions plain;
    plain.match_special_in_text = false;
    const std::string wanted = pipeline.normalizer.apply(sample);
    std::string got = decode(encode(sample, plain));
    if (got.size() == wanted.size() + 1 && got.front() == ' ') { // a space put before the text
        got.erase(0, 1);
    }
    return got == wanted
               ? std::string()
               : "TK-ROUNDTRIP: the tokenizer does not give back the text it reads (a sample of many "
                 "scripts came back changed).";
}

// A part that was found by a well-known name counts as named.
void Tokenizer::name_resolved_tokens(Parts& parts) {
    const std::pair<const char*, std::optional<std::int32_t>> found[] = {{"bos_token", parts.special.bos},
                                                                         {"eos_token", parts.special.eos},
                                                                         {"pad_token", parts.special.pad},
                                                                         {"unk_token", parts.special.unk}};
    for (const auto& [name, id] : found) {
        const auto named =
            std::any_of(parts.named.begin(), parts.named.end(),
                        [&, &wanted = name](const auto& known) { return known.first == wanted; });
        if (id && !named) {
            const AddedToken* added = parts.pipeline.added.find(*id);
            parts.named.emplace_back(name, added ? added->content
                                                 : std::string(parts.pipeline.model.vocabulary().text(*id)));
        }
    }
}

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json,
                                                      std::string_view tokenizer_config_json,
                                                      const std::string& file_name) {
    const TokenizerConfig config = read_tokenizer_config(tokenizer_config_json, config_name);
    return make(read_tokenizer_json(tokenizer_json, file_name), config, config.templates);
}

std::shared_ptr<const Tokenizer> Tokenizer::from_vocab_and_merges(std::string_view vocab_json,
                                                                  std::string_view merges_txt,
                                                                  std::string_view tokenizer_config_json,
                                                                  const std::string& file_name) {
    const TokenizerConfig config = read_tokenizer_config(tokenizer_config_json, config_name);
    return make(read_vocab_and_merges(vocab_json, merges_txt, config, file_name), config, config.templates);
}

std::shared_ptr<const Tokenizer> Tokenizer::from_vocab_txt(std::string_view vocab_txt,
                                                           std::string_view tokenizer_config_json,
                                                           const std::string& file_name) {
    const TokenizerConfig config = read_tokenizer_config(tokenizer_config_json, config_name);
    return make(read_vocab_txt(vocab_txt, config, file_name), config, config.templates);
}

std::shared_ptr<const Tokenizer> Tokenizer::from_files(const SideFileReader& read,
                                                       std::vector<ChatTemplateText> templates) {
    const auto tokenizer_json = read("tokenizer.json");
    const auto vocabulary = tokenizer_json ? std::nullopt : read("vocab.json");
    const auto merges = tokenizer_json ? std::nullopt : read("merges.txt");
    const auto lines = tokenizer_json || vocabulary ? std::nullopt : read("vocab.txt");
    if (vocabulary.has_value() != merges.has_value()) {
        const std::string there = merges ? "merges.txt" : "vocab.json";
        const std::string missing = merges ? "vocab.json" : "merges.txt";
        throw Error(ErrorKind::format, there + " is here, but " + missing + " is not: neither works alone.",
                    {.code = "TK-MERGE",
                     .file = there,
                     .advice = "Put both, or a tokenizer.json, beside the model."});
    }
    if (!tokenizer_json && !vocabulary && !lines) {
        return nullptr;
    }
    TokenizerConfig config = read_tokenizer_config(read("tokenizer_config.json").value_or(""), config_name);
    if (const auto map = read("special_tokens_map.json")) {
        add_special_tokens_map(config, *map, "special_tokens_map.json");
    }
    templates.insert(templates.end(), config.templates.begin(), config.templates.end());
    if (const auto text = read("chat_template.jinja")) {
        templates.insert(templates.begin(), {"default", *text, "chat_template.jinja"});
    }
    if (const auto legacy = templates.empty() ? read("chat_template.json") : std::nullopt) {
        templates = read_tokenizer_config(*legacy, "chat_template.json").templates;
    }
    Pipeline pipeline = tokenizer_json ? read_tokenizer_json(*tokenizer_json, "tokenizer.json")
                        : vocabulary
                            ? read_vocab_and_merges(*vocabulary, *merges, config, "vocab.json and merges.txt")
                            : read_vocab_txt(*lines, config, "vocab.txt");
    return make(std::move(pipeline), config, std::move(templates));
}

std::shared_ptr<const Tokenizer> Tokenizer::from_table(const TokenTable& table,
                                                       const std::string& file_name) {
    Pipeline pipeline = read_token_table(table, file_name); // checks the ids that the configuration names
    const TokenizerConfig config = config_of(table);
    return make(std::move(pipeline), config, config.templates);
}

std::shared_ptr<const Tokenizer> Tokenizer::from_folder(const std::filesystem::path& folder) {
    return from_files([&](const std::string& name) { return read_side_file(folder, name); },
                      read_named_templates(named_templates_of(folder)));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    return run(text, options, false).ids;
}

Encoding Tokenizer::encode_with_positions(std::string_view text, const EncodeOptions& options) const {
    return run(text, options, true);
}

Encoding Tokenizer::run(std::string_view text, const EncodeOptions& options, bool with_positions) const {
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
        throw Error(ErrorKind::usage, "the text has " + std::to_string(text.size()) +
                                          " bytes; at most 2147483647 can be encoded at once.");
    }
    std::string repaired;
    if (!is_valid_utf8(text)) {
        repaired = replace_invalid_utf8(text);
        text = repaired;
    }
    Encoding made = Encoder(parts_->pipeline, options, with_positions).run(text);
    if (!options.add_special_tokens) {
        return made;
    }
    // The text's own ids stand together in what comes out: what is around them takes the text's ends.
    const std::vector<std::int32_t> own = made.ids;
    made.ids = parts_->pipeline.post_processor.apply(std::move(made.ids));
    if (with_positions) {
        const auto place = static_cast<std::size_t>(parts_->pipeline.post_processor.before());
        std::vector<std::size_t> begin(made.ids.size(), text.size());
        std::fill_n(begin.begin(), std::min(place, begin.size()), 0);
        std::copy_n(made.begin.begin(), std::min(own.size(), begin.size() - std::min(place, begin.size())),
                    begin.begin() + static_cast<std::ptrdiff_t>(std::min(place, begin.size())));
        made.begin = std::move(begin);
    }
    return made;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
    const Decoder& decoder = parts_->pipeline.decoder;
    std::string bytes;
    std::vector<std::string> tokens; // of a decoder that looks at neighbours
    bool started = false;
    for (const std::int32_t id : ids) {
        if (!parts_->has(id) || (skip_special && parts_->special_id(id))) {
            continue;
        }
        if (decoder.is_chain()) {
            tokens.push_back(parts_->surface(id));
            continue;
        }
        if (started) {
            bytes += decoder.separator;
        }
        bytes += parts_->bytes_of(id);
        started = true;
    }
    return decoder.is_chain() ? decoder.decode(std::move(tokens)) : replace_invalid_utf8(bytes);
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

bool Tokenizer::is_added(std::int32_t id) const {
    return parts_->pipeline.added.find(id) != nullptr;
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
    const std::string name = parts_->pipeline.model.name();
    return name == "BPE" && parts_->pipeline.pretokenizer.gives_bytes() ? "byte-level BPE" : name;
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
    static const std::string none;
    const auto& templates = parts_->templates;
    return templates.empty() || templates.front().name != "default" ? none : templates.front().text;
}

const std::vector<ChatTemplateText>& Tokenizer::chat_templates() const {
    return parts_->templates;
}

const std::vector<std::pair<std::string, std::string>>& Tokenizer::special_tokens() const {
    return parts_->named;
}

const std::vector<std::string>& Tokenizer::warnings() const {
    return parts_->warnings;
}

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

std::string StreamDecoder::push(std::int32_t id) {
    const Tokenizer::Parts& parts = *tokenizer_->parts_;
    if (!parts.has(id) || (skip_special_ && parts.special_id(id))) {
        return {};
    }
    if (parts.pipeline.decoder.is_chain()) {
        return push_chained(parts.surface(id));
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

// Text of the tokens that wait: what they add to that of the last one before them.
std::string StreamDecoder::flush_chained() {
    const Decoder& decoder = tokenizer_->parts_->pipeline.decoder;
    std::string before;
    std::vector<std::string> tokens;
    if (context_) {
        before = decoder.decode({*context_});
        tokens.push_back(*context_);
    }
    tokens.insert(tokens.end(), waiting_.begin(), waiting_.end());
    std::string text = decoder.decode(std::move(tokens));
    context_ = waiting_.back();
    waiting_.clear();
    return text.starts_with(before) ? text.substr(before.size()) : text;
}

std::string StreamDecoder::push_chained(std::string token) {
    waiting_.push_back(std::move(token));
    return tokenizer_->parts_->pipeline.decoder.waits(waiting_.back()) ? std::string() : flush_chained();
}

std::string StreamDecoder::finish() {
    std::string text = waiting_.empty() ? replace_invalid_utf8(held_) : flush_chained();
    held_.clear();
    context_.reset();
    started_ = false;
    return text;
}

} // namespace ergo
