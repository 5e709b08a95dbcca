// SPDX-License-Identifier: GPL-3.0-or-later
// Text to token ids and back, exactly as the Hugging Face `tokenizers` library does it for byte-pair models.
// A Tokenizer is immutable once loaded and is shared by shared_ptr<const Tokenizer>: any thread may use it at
// any time. A StreamDecoder belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

struct Pipeline;
struct TokenizerConfig;

struct EncodeOptions {
    /// Add what the file's post-processor adds, such as a token at the beginning of the text.
    bool add_special_tokens = false;
    /// False: added tokens marked special are read as plain text (for text that must not forge turns);
    /// added tokens that are not special still match.
    bool match_special_in_text = true;
};

class Tokenizer {
  public:
    /// From the bytes of a tokenizer.json. `tokenizer_config_json` (a tokenizer_config.json) may be empty.
    /// `file_name` is named in errors. Throws Error: `format` for a malformed file (F-JSON, TK-VOCAB,
    /// TK-MERGE, TK-ADDED, TK-UNK), `unsupported` for a component this program cannot run (TK-TYPE, TK-REGEX,
    /// TK-VERSION), `resources` for one beyond the limits (F-TOO-LARGE).
    static std::shared_ptr<const Tokenizer> from_json(std::string_view tokenizer_json,
                                                      std::string_view tokenizer_config_json,
                                                      const std::string& file_name);

    /// From vocab.json and merges.txt (byte-level BPE). They hold no pre-tokenizer and no added tokens: the
    /// configuration's `tokenizer_class` decides the first (GPT-2's when it says nothing) and its
    /// `added_tokens_decoder` and named special tokens give the second. Errors as from_json, and
    /// TK-PRETOKENIZER for a class whose splitting rule is not known.
    static std::shared_ptr<const Tokenizer> from_vocab_and_merges(std::string_view vocab_json,
                                                                  std::string_view merges_txt,
                                                                  std::string_view tokenizer_config_json,
                                                                  const std::string& file_name);

    /// Looks in `folder` for tokenizer.json, else for vocab.json and merges.txt; nullptr when it has none of
    /// them. tokenizer_config.json and chat_template.jinja (whose template wins) beside them are read too.
    /// Errors as above, and `io` (F-IO) for a file that cannot be read.
    static std::shared_ptr<const Tokenizer> from_folder(const std::filesystem::path& folder);

    ~Tokenizer();
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    /// Ids of `text`. Bytes that are no valid UTF-8 count as U+FFFD. Throws Error: `usage` for a text of 2
    /// GiB or more, `resources` (TK-REGEX-LIMIT) when the file's own pattern needs too many steps on it.
    std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

    /// Text of `ids`. Bytes that are no valid UTF-8 become U+FFFD, one for each maximal invalid part, over
    /// the whole sequence's bytes. Ids with no token are left out, and those marked special too if
    /// `skip_special`.
    std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

    /// The raw bytes `id` stands for, perhaps a part of a character; "" for an id with no token.
    std::string token_bytes(std::int32_t id) const;

    /// The token as the vocabulary writes it ("Ġthe"); "" for an id with no token.
    std::string token_text(std::int32_t id) const;

    bool is_special(std::int32_t id) const;
    bool has_token(std::int32_t id) const;

    /// Id of a token as the vocabulary writes it, added tokens first.
    std::optional<std::int32_t> id_of(std::string_view token) const;

    /// Highest id + 1, added tokens included. Some of the ids below it may have no token.
    std::int32_t vocab_size() const;

    /// What it is, for people: "byte-level BPE" or "BPE".
    std::string kind() const;

    /// Roles named by tokenizer_config.json; where it says nothing, well-known names in the vocabulary.
    std::optional<std::int32_t> bos() const;
    std::optional<std::int32_t> eos() const;
    std::optional<std::int32_t> pad() const;
    std::optional<std::int32_t> unk() const;

    /// The chat template's text (Jinja); "" if there is none.
    const std::string& chat_template() const;

  private:
    friend class StreamDecoder;
    struct Parts;
    explicit Tokenizer(std::unique_ptr<const Parts> parts);
    static std::shared_ptr<const Tokenizer> make(Pipeline pipeline, const TokenizerConfig& config);

    std::unique_ptr<const Parts> parts_;
};

/// Decodes a stream of ids into text that never ends inside a UTF-8 character. All pushes and the finish
/// together give what Tokenizer::decode gives for the same ids. Copyable.
class StreamDecoder {
  public:
    StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special);

    /// The text that `id` completes; may be empty. At most three bytes are held back.
    std::string push(std::int32_t id);

    /// What was held back, as U+FFFD; the decoder is then ready for a new sequence.
    std::string finish();

  private:
    std::shared_ptr<const Tokenizer> tokenizer_;
    bool skip_special_ = false;
    bool started_ = false; // a token has been decoded: decides whether a separator goes before the next
    std::string held_;     // bytes of a character that is right so far
};

} // namespace ergo
