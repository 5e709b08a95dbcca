// SPDX-License-Identifier: GPL-3.0-or-later
// The `decoder` of a tokenizer.json.
#include "engine/tokenizer/component_reader.h"
#include "engine/tokenizer/component_type.h"
#include "engine/tokenizer/regex_syntax.h"

#include <algorithm>

namespace ergo {

namespace {

ReplaceDecoder read_replace(const JsonView& part) {
    const JsonView pattern = part.at("pattern");
    ReplaceDecoder step{"", part.at("content").text()};
    if (const auto regex = pattern.find("Regex")) {
        step.pattern = with_file(part, [&] { return Regex(translate_regex(regex->text())); });
    } else {
        step.pattern = pattern.at("String").text();
    }
    return step;
}

StripDecoder read_strip(const JsonView& part) {
    const auto count = [&](const char* key) {
        const auto value = part.find(key);
        return value ? static_cast<std::size_t>(value->integer(0, 1'000'000)) : 0;
    };
    return {part.text_or("content", " "), count("start"), count("stop")};
}

/// How many times as long a replacement can make a text at most.
double growth_of(const DecoderStep& step) {
    const auto* replace = std::get_if<ReplaceDecoder>(&step);
    if (!replace) {
        return 1;
    }
    const auto* plain = std::get_if<std::string>(&replace->pattern);
    const auto replaced = plain ? std::max<std::size_t>(plain->size(), 1) : 1;
    return std::max(1.0, double(replace->content.size()) / double(replaced));
}

/// Tokens become text on any thread, token by token: what they may grow to is settled here.
void check_growth(const JsonView& part, const std::vector<DecoderStep>& chain) {
    constexpr double most = 64;
    double growth = 1;
    for (const DecoderStep& step : chain) {
        growth *= growth_of(step);
    }
    if (growth > most) {
        part.fail("can make a text more than 64 times as long by its replacements", "TK-LIMIT");
    }
}

DecoderStep read_step(const JsonView& part) {
    const std::string& type = type_of(part);
    if (type == "ByteLevel") {
        return ByteLevelDecoder{};
    }
    if (type == "WordPiece") {
        return WordPieceDecoder{part.text_or("prefix", "##"), part.boolean_or("cleanup", true)};
    }
    if (type == "Metaspace") {
        const bool first =
            part.text_or("prepend_scheme", part.boolean_or("add_prefix_space", true) ? "always" : "never") !=
            "never";
        return MetaspaceDecoder{part.text_or("replacement", "\u2581"), first};
    }
    if (type == "BPEDecoder") {
        return BpeDecoder{part.text_or("suffix", "</w>")};
    }
    if (type == "ByteFallback") {
        return ByteFallbackDecoder{};
    }
    if (type == "Replace") {
        return read_replace(part);
    }
    if (type == "Fuse") {
        return FuseDecoder{};
    }
    if (type == "Strip") {
        return read_strip(part);
    }
    if (type == "CTC") {
        return CtcDecoder{part.text_or("pad_token", "<pad>"), part.text_or("word_delimiter_token", "|"),
                          part.boolean_or("cleanup", true)};
    }
    unknown_type(part, "decoder");
}

} // namespace

Decoder read_decoder(const OptionalPart& part) {
    if (!part) {
        return {.byte_level = false, .separator = " ", .chain = {}};
    }
    std::vector<DecoderStep> chain;
    flatten(*part, "decoders", [&](const JsonView& step) { chain.push_back(read_step(step)); });
    check_growth(*part, chain);
    // ByteLevel first, and only Fuse otherwise: every token has its own bytes.
    const auto simple = [&](const DecoderStep& step) {
        return std::holds_alternative<FuseDecoder>(step) ||
               (std::holds_alternative<ByteLevelDecoder>(step) && &step == &chain.front());
    };
    if (std::all_of(chain.begin(), chain.end(), simple)) {
        return {.byte_level = !chain.empty() && std::holds_alternative<ByteLevelDecoder>(chain.front()),
                .separator = "",
                .chain = {}};
    }
    return {.byte_level = false, .separator = "", .chain = std::move(chain)};
}

} // namespace ergo
