// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/decoder.h"

#include "engine/base/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace ergo {

namespace {

using Tokens = std::vector<std::string>;

void replace_all(std::string& text, std::string_view old, std::string_view fresh) {
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = 0; !old.empty() && (at = text.find(old, at)) != std::string::npos;
         at += old.size()) {
        out.append(text, done, at - done).append(fresh);
        done = at + old.size();
    }
    text = done == 0 ? text : out.append(text, done);
}

// No space before punctuation and English contractions.
void clean_up(std::string& text) {
    static constexpr std::pair<std::string_view, std::string_view> changes[] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (const auto& [old, fresh] : changes) {
        replace_all(text, old, fresh);
    }
}

// The byte that "<0xE6>" names.
std::optional<char> named_byte(std::string_view token) {
    unsigned value = 0;
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') {
        return std::nullopt;
    }
    const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
    return error == std::errc{} && end == token.data() + 5 ? std::optional(static_cast<char>(value))
                                                           : std::nullopt;
}

void run(const ByteLevelDecoder&, Tokens& tokens) {
    std::string bytes;
    for (const std::string& token : tokens) {
        bytes += alphabet_to_bytes(token).value_or(token);
    }
    tokens = {replace_invalid_utf8(bytes)};
}

void run(const WordPieceDecoder& step, Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i > 0) {
            tokens[i] =
                tokens[i].starts_with(step.prefix) ? tokens[i].substr(step.prefix.size()) : " " + tokens[i];
        }
        if (step.cleanup) {
            clean_up(tokens[i]);
        }
    }
}

void run(const MetaspaceDecoder& step, Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        std::string out;
        std::string_view rest = tokens[i];
        while (!rest.empty()) { // of the first token every one goes, as the reference has it
            if (rest.starts_with(step.replacement)) {
                out += i == 0 && step.drop_first ? "" : " ";
                rest.remove_prefix(step.replacement.size());
            } else {
                out += rest.front();
                rest.remove_prefix(1);
            }
        }
        tokens[i] = std::move(out);
    }
}

void run(const BpeDecoder& step, Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        replace_all(tokens[i], step.suffix, i + 1 < tokens.size() ? " " : "");
    }
}

void run(const ByteFallbackDecoder&, Tokens& tokens) {
    Tokens out;
    std::string bytes;
    const auto flush = [&] {
        if (is_valid_utf8(bytes)) {
            out.push_back(bytes);
        } else {
            out.insert(out.end(), bytes.size(), "\uFFFD");
        }
        bytes.clear();
    };
    for (std::string& token : tokens) {
        if (const auto byte = named_byte(token)) {
            bytes += *byte;
            continue;
        }
        if (!bytes.empty()) {
            flush();
        }
        out.push_back(std::move(token));
    }
    if (!bytes.empty()) {
        flush();
    }
    tokens = std::move(out);
}

void run(const ReplaceDecoder& step, Tokens& tokens) {
    for (std::string& token : tokens) {
        if (const auto* plain = std::get_if<std::string>(&step.pattern)) {
            replace_all(token, *plain, step.content);
            continue;
        }
        RegexMatcher matcher(std::get<Regex>(step.pattern));
        const std::string text = token;
        matcher.start(text);
        token.clear();
        std::size_t done = 0;
        while (const auto found = matcher.next()) {
            token.append(text, done, found->begin - done).append(step.content);
            done = found->end;
        }
        token.append(text, done);
    }
}

void run(const FuseDecoder&, Tokens& tokens) {
    std::string text;
    for (const std::string& token : tokens) {
        text += token;
    }
    tokens = {std::move(text)};
}

void run(const StripDecoder& step, Tokens& tokens) {
    for (std::string& token : tokens) {
        std::string_view rest = token;
        for (std::size_t i = 0; i < step.start && rest.starts_with(step.content); ++i) {
            rest.remove_prefix(step.content.size());
        }
        for (std::size_t i = 0; i < step.stop && rest.ends_with(step.content); ++i) {
            rest.remove_suffix(step.content.size());
        }
        token = std::string(rest);
    }
}

void run(const CtcDecoder& step, Tokens& tokens) {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    Tokens out;
    for (std::string& token : tokens) {
        replace_all(token, step.pad, "");
        if (step.cleanup) {
            clean_up(token);
            replace_all(token, step.delimiter, " ");
        }
        if (!token.empty()) {
            out.push_back(std::move(token));
        }
    }
    tokens = std::move(out);
}

template <class Step> bool has(const std::vector<DecoderStep>& chain) {
    return std::any_of(chain.begin(), chain.end(),
                       [](const DecoderStep& step) { return std::holds_alternative<Step>(step); });
}

} // namespace

std::string Decoder::decode(std::vector<std::string> tokens) const {
    for (const DecoderStep& step : chain) {
        std::visit([&](const auto& each) { run(each, tokens); }, step);
    }
    std::string text;
    for (const std::string& token : tokens) {
        text += token;
    }
    return text;
}

std::string Decoder::bytes_of(std::string_view token) const {
    if (is_chain()) {
        if (has<ByteFallbackDecoder>(chain)) {
            if (const auto byte = named_byte(token)) {
                return std::string(1, *byte);
            }
        }
        // between two others that leave no trace of their own
        const std::string neighbour = "a";
        const std::string alone = decode({neighbour}), with = decode({neighbour, std::string(token)});
        return with.starts_with(alone) ? with.substr(alone.size()) : with;
    }
    if (byte_level) {
        if (auto bytes = alphabet_to_bytes(token)) {
            return *bytes;
        }
    }
    return std::string(token);
}

bool Decoder::waits(std::string_view token) const {
    // bytes may still become a character, or spoil one; what goes at the end is only known there
    const auto strips_end = [](const DecoderStep& step) {
        const auto* strip = std::get_if<StripDecoder>(&step);
        return strip && strip->stop > 0;
    };
    return (has<ByteFallbackDecoder>(chain) && named_byte(token)) || has<ByteLevelDecoder>(chain) ||
           has<CtcDecoder>(chain) || std::any_of(chain.begin(), chain.end(), strips_end);
}

} // namespace ergo
