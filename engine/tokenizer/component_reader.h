// SPDX-License-Identifier: GPL-3.0-or-later
// Readers of the parts of a tokenizer.json, one function a part. Each throws Error(format) for a malformed
// part and Error(unsupported, TK-TYPE or TK-REGEX) for one this program cannot run. For the .cpp files of
// this folder alone.
#pragma once

#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/decoder.h"
#include "engine/tokenizer/json_reader.h"
#include "engine/tokenizer/model.h"
#include "engine/tokenizer/normalizer.h"
#include "engine/tokenizer/post_processor.h"
#include "engine/tokenizer/pretokenizer.h"

#include <optional>
#include <vector>

namespace ergo {

/// A part that is absent or null is nullopt.
using OptionalPart = std::optional<JsonView>;

/// {token: id, …}. TK-VOCAB for ids out of range or used twice.
Vocabulary read_vocabulary(const JsonView& vocab);

/// `model`. TK-MERGE for a merge of unknown tokens, TK-UNK for an unk_token without id.
TokenModel read_model(const JsonView& model);

/// Reads a merge "a b" or ["a", "b"] into `model`; `number` is for the message.
void add_merge(BpeModel& model, std::string_view left, std::string_view right, std::size_t number,
               const std::string& file);

/// The two tokens of "a b"; throws TK-MERGE unless there is exactly one space.
std::pair<std::string_view, std::string_view> split_merge(std::string_view line, std::size_t number,
                                                          const std::string& file);

/// `added_tokens`, checked against the model's vocabulary (TK-ADDED).
std::vector<AddedToken> read_added_tokens(const OptionalPart& list, const Vocabulary& vocabulary);

/// The flags of one added token, all but `id`.
AddedToken read_added_token(const JsonView& object);

/// Throws TK-ADDED unless `token` can stand beside `vocabulary`.
void check_added_token(const AddedToken& token, const Vocabulary& vocabulary, const JsonView& where);

Normalizer read_normalizer(const OptionalPart& part);
Pretokenizer read_pretokenizer(const OptionalPart& part);
PostProcessor read_post_processor(const OptionalPart& part);
Decoder read_decoder(const OptionalPart& part);

} // namespace ergo
