// SPDX-License-Identifier: GPL-3.0-or-later
// Text to token ids and back, exactly as the Hugging Face `tokenizers` library does it.
// A Tokenizer is immutable once loaded and is shared by shared_ptr<const Tokenizer>: any thread may use it at
// any time. A StreamDecoder belongs to one thread.
#pragma once

#include "engine/tokenizer/byte_range.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

struct Pipeline;
struct TokenizerConfig;
struct TokenTable;

struct EncodeOptions {
    /// Add what the file's post-processor adds, such as a token at the beginning of the text.
    bool add_special_tokens = false;
    /// False: added tokens marked special are read as plain text (for text that must not forge turns);
    /// added tokens that are not special still match.
    bool match_special_in_text = true;
    /// Where text is data (sorted, apart): a special added token that touches one of these stays plain text.
    std::span<const ByteRange> plain{};
};

/// Ids, and for each the byte of the text at which it begins (where normalising changed the text, about).
struct Encoding {
    std::vector<std::int32_t> ids;
    std::vector<std::size_t> begin;
};

/// A chat template (Jinja) that came with a tokenizer.
struct ChatTemplateText {
    std::string name; ///< "default", "tool_use" …
    std::string text;
    std::string file; ///< where it stood
};

/// The files of one model, by name; nullopt for one that is not there.
using SideFileReader = std::function<std::optional<std::string>(const std::string& name)>;

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

    /// From vocab.txt, one token a line: WordPiece. Lower case and accents follow the configuration's
    /// `do_lower_case` and its like.
    static std::shared_ptr<const Tokenizer> from_vocab_txt(std::string_view vocab_txt,
                                                           std::string_view tokenizer_config_json,
                                                           const std::string& file_name);

    /// From tokenizer.json, else vocab.json and merges.txt, else vocab.txt; nullptr when there are none of
    /// them. tokenizer_config.json, special_tokens_map.json and the chat templates beside them are read too
    /// (`templates`: those of the folder additional_chat_templates). Errors as above, and those of `read`.
    static std::shared_ptr<const Tokenizer> from_files(const SideFileReader& read,
                                                       std::vector<ChatTemplateText> templates = {});

    /// The same for a folder; `io` (F-IO) for a file that cannot be read.
    static std::shared_ptr<const Tokenizer> from_folder(const std::filesystem::path& folder);

    /// From a flat table of tokens, as GGUF metadata holds it (engine/tokenizer/token_table.h). Throws Error:
    /// `format` GG-TOKENIZER, TK-VOCAB, TK-MERGE or TK-ADDED, `unsupported` GG-TOKENIZER for a model or a
    /// splitting rule that is not known.
    static std::shared_ptr<const Tokenizer> from_table(const TokenTable& table, const std::string& file_name);

    ~Tokenizer();
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    /// Ids of `text`. Bytes that are no valid UTF-8 count as U+FFFD. Throws Error: `usage` for a text of 2
    /// GiB or more, `resources` (TK-REGEX-LIMIT) when the file's own pattern needs too many steps on it.
    std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

    /// The same with positions; what a post-processor adds has the position of what follows it.
    Encoding encode_with_positions(std::string_view text, const EncodeOptions& options = {}) const;

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
    /// Is it one of the added tokens, which stand beside the vocabulary?
    bool is_added(std::int32_t id) const;

    /// Id of a token as the vocabulary writes it, added tokens first.
    std::optional<std::int32_t> id_of(std::string_view token) const;

    /// Highest id + 1, added tokens included. Some of the ids below it may have no token.
    std::int32_t vocab_size() const;

    /// What it is, for people: "byte-level BPE", "BPE", "WordPiece", "Unigram" or "WordLevel".
    std::string kind() const;

    /// Roles named by tokenizer_config.json; where it says nothing, well-known names in the vocabulary.
    std::optional<std::int32_t> bos() const;
    std::optional<std::int32_t> eos() const;
    std::optional<std::int32_t> pad() const;
    std::optional<std::int32_t> unk() const;

    /// The chat template's text (Jinja); "" if there is none.
    const std::string& chat_template() const;
    /// All of them, the one named "default" first.
    const std::vector<ChatTemplateText>& chat_templates() const;
    /// Texts of the tokens that play a part: {"bos_token", "<s>"} …
    const std::vector<std::pair<std::string, std::string>>& special_tokens() const;

    /// Sentences about what is odd: TK-ROUNDTRIP when a byte-level tokenizer does not give back what it read.
    const std::vector<std::string>& warnings() const;

  private:
    friend class StreamDecoder;
    struct Parts;
    explicit Tokenizer(std::unique_ptr<const Parts> parts);
    static std::shared_ptr<const Tokenizer> make(Pipeline pipeline, const TokenizerConfig& config,
                                                 std::vector<ChatTemplateText> templates);
    static void name_resolved_tokens(Parts& parts);
    std::string round_trip_problem() const;
    Encoding run(std::string_view text, const EncodeOptions& options, bool with_positions) const;

    std::unique_ptr<const Parts> parts_;
};

/// Decodes a stream of ids into text that never ends inside a UTF-8 character. All pushes and the finish
/// together give what Tokenizer::decode gives for the same ids. Copyable.
class StreamDecoder {
  public:
    StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special);

    /// The text that `id` completes; may be empty. At most three bytes are held back (of a tokenizer whose
    /// decoder looks at neighbours: the tokens it still waits for).
    std::string push(std::int32_t id);

    /// What was held back, as U+FFFD; the decoder is then ready for a new sequence.
    std::string finish();

  private:
    std::shared_ptr<const Tokenizer> tokenizer_;
    bool skip_special_ = false;
    bool started_ = false; // a token has been decoded: decides whether a separator goes before the next
    std::string held_;     // bytes of a character that is right so far
    // Of a decoder that looks at neighbours:
    std::string push_chained(std::string token);
    std::string flush_chained();
    std::vector<std::string> waiting_;   // tokens whose text is not out yet
    std::optional<std::string> context_; // the last token whose text is out
};

} // namespace ergo
