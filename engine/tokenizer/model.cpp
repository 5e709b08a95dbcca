// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/model.h"

#include "engine/tokenizer/byte_alphabet.h"

namespace ergo {

void TokenModel::encode_word(std::string_view word, bool raw_bytes, BpeWork& work,
                             std::vector<std::int32_t>& out) const {
    if (const auto* bpe = std::get_if<BpeModel>(&model_)) {
        bpe->encode_word(word, raw_bytes, work, out);
        return;
    }
    std::size_t count = 0;
    if (const std::int32_t* known = word.size() <= BpeWork::longest_word ? work.find(word, count) : nullptr) {
        out.insert(out.end(), known, known + count);
        return;
    }
    const std::size_t first = out.size();
    const std::string mapped = raw_bytes ? bytes_to_alphabet(word) : std::string();
    std::visit(
        [&](const auto& model) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(model)>, BpeModel>) {
                model.encode_word(raw_bytes ? std::string_view(mapped) : word, out);
            }
        },
        model_);
    work.remember(word, out.data() + first, out.size() - first);
}

const Vocabulary& TokenModel::vocabulary() const {
    return std::visit([](const auto& model) -> const Vocabulary& { return model.vocabulary(); }, model_);
}

std::optional<std::int32_t> TokenModel::unk() const {
    if (const auto* bpe = std::get_if<BpeModel>(&model_)) {
        return bpe->options().unk;
    }
    return std::visit(
        [](const auto& model) -> std::optional<std::int32_t> {
            if constexpr (!std::is_same_v<std::decay_t<decltype(model)>, BpeModel>) {
                return model.unk();
            } else {
                return std::nullopt;
            }
        },
        model_);
}

std::string TokenModel::name() const {
    static constexpr const char* names[] = {"BPE", "WordPiece", "WordLevel", "Unigram"};
    return names[model_.index()];
}

} // namespace ergo
