// SPDX-License-Identifier: GPL-3.0-or-later
// The `normalizer` and the `pre_tokenizer` of a tokenizer.json.
#include "engine/base/utf8.h"
#include "engine/tokenizer/component_reader.h"
#include "engine/tokenizer/component_type.h"
#include "engine/tokenizer/regex_syntax.h"

namespace ergo {

namespace {

// {"Regex": …} or {"String": …}: which one, and its text.
std::pair<bool, std::string> read_pattern(const JsonView& part) {
    const JsonView pattern = part.at("pattern");
    const auto regex = pattern.find("Regex");
    const auto plain = pattern.find("String");
    if (regex.has_value() == plain.has_value()) {
        pattern.fail("must hold either 'Regex' or 'String'");
    }
    return {regex.has_value(), (regex ? regex : plain)->text()};
}

SplitBehavior read_behavior(const JsonView& part, const std::string& fallback) {
    const std::string behavior = part.text_or("behavior", fallback);
    static constexpr std::pair<std::string_view, SplitBehavior> names[] = {
        {"Removed", SplitBehavior::removed},
        {"Isolated", SplitBehavior::isolated},
        {"MergedWithPrevious", SplitBehavior::merged_with_previous},
        {"MergedWithNext", SplitBehavior::merged_with_next},
        {"Contiguous", SplitBehavior::contiguous},
    };
    for (const auto& [name, value] : names) {
        if (behavior == name) {
            return value;
        }
    }
    part.at("behavior").unsupported("is '" + printable(behavior) + "', which is no known behaviour");
}

SplitStep read_split(const JsonView& part) {
    const auto [is_regex, text] = read_pattern(part);
    part.at("behavior");
    const SplitBehavior behavior = read_behavior(part, "");
    return SplitStep{with_file(part,
                               [&, &pattern = text, &regex = is_regex] {
                                   return Regex(regex ? translate_regex(pattern) : escape_regex(pattern));
                               }),
                     behavior, part.boolean_or("invert", false)};
}

SplitStep split_at(const std::string& pcre, SplitBehavior behavior, bool invert = false) {
    return SplitStep{Regex(pcre), behavior, invert};
}

MetaspaceStep read_metaspace(const JsonView& part) {
    MetaspaceStep step;
    step.replacement = part.text_or("replacement", step.replacement);
    if (step.replacement.empty() || decode_utf8(step.replacement, 0).length != step.replacement.size()) {
        part.at("replacement").fail("must be one character");
    }
    const std::string scheme =
        part.text_or("prepend_scheme", part.boolean_or("add_prefix_space", true) ? "always" : "never");
    if (scheme != "always" && scheme != "first" && scheme != "never") {
        part.at("prepend_scheme").unsupported("is '" + printable(scheme, 40) + "', which is no known scheme");
    }
    step.prepend = scheme == "always"  ? MetaspaceStep::Prepend::always
                   : scheme == "first" ? MetaspaceStep::Prepend::first
                                       : MetaspaceStep::Prepend::never;
    step.split = part.boolean_or("split", true);
    return step;
}

void add_pretokenizer(const JsonView& part, std::vector<PretokenizerStep>& steps) {
    const std::string& type = type_of(part);
    if (type == "ByteLevel") {
        steps.emplace_back(
            ByteLevelStep{part.boolean_or("add_prefix_space", true), part.boolean_or("use_regex", true)});
    } else if (type == "Split") {
        steps.emplace_back(read_split(part));
    } else if (type == "Digits") {
        steps.emplace_back(DigitsStep{part.boolean_or("individual_digits", false)});
    } else if (type == "Metaspace") {
        steps.emplace_back(read_metaspace(part));
    } else if (type == "Whitespace") {
        steps.emplace_back(split_at(word_or_symbols_pattern(), SplitBehavior::removed, true));
    } else if (type == "WhitespaceSplit") {
        steps.emplace_back(split_at(white_space_pattern(), SplitBehavior::removed));
    } else if (type == "BertPreTokenizer") {
        steps.emplace_back(split_at(white_space_pattern(), SplitBehavior::removed));
        steps.emplace_back(split_at(punctuation_pattern(), SplitBehavior::isolated));
    } else if (type == "Punctuation") {
        steps.emplace_back(split_at(punctuation_pattern(), read_behavior(part, "Isolated")));
    } else if (type == "CharDelimiterSplit") {
        steps.emplace_back(split_at(escape_regex(part.at("delimiter").text()), SplitBehavior::removed));
    } else if (type == "FixedLength") {
        const auto length = part.find("length");
        steps.emplace_back(FixedLengthStep{length ? static_cast<std::size_t>(length->integer(1, 1'000'000))
                                                  : std::size_t{5}});
    } else if (type == "UnicodeScripts") {
        steps.emplace_back(UnicodeScriptsStep{});
    } else {
        unknown_type(part, "pre-tokenizer");
    }
}

void add_bert_normalizer(const JsonView& part, std::vector<NormalizerStep>& steps) {
    const bool lowercase = part.boolean_or("lowercase", true);
    if (part.boolean_or("clean_text", true)) {
        steps.emplace_back(CleanTextStep{});
    }
    if (part.boolean_or("handle_chinese_chars", true)) {
        steps.emplace_back(ChineseCharactersStep{});
    }
    if (part.boolean_or("strip_accents", lowercase)) {
        steps.emplace_back(StripAccentsStep{true, false});
    }
    if (lowercase) {
        steps.emplace_back(LowercaseStep{});
    }
}

ReplaceStep read_replace(const JsonView& part) {
    const auto [is_regex, text] = read_pattern(part);
    ReplaceStep step{text, part.at("content").text()};
    if (is_regex) {
        step.pattern = with_file(part, [&, &pattern = text] { return Regex(translate_regex(pattern)); });
    }
    return step;
}

PrecompiledStep read_precompiled(const JsonView& part) {
    auto map = Charsmap::read(part.at("precompiled_charsmap").text());
    if (!map) {
        part.at("precompiled_charsmap").fail("is not a map in base64");
    }
    return {std::make_shared<const Charsmap>(std::move(*map))};
}

void add_normalizer(const JsonView& part, std::vector<NormalizerStep>& steps) {
    const std::string& type = type_of(part);
    static constexpr std::pair<std::string_view, UnicodeForm> forms[] = {{"NFC", UnicodeForm::nfc},
                                                                         {"NFD", UnicodeForm::nfd},
                                                                         {"NFKC", UnicodeForm::nfkc},
                                                                         {"NFKD", UnicodeForm::nfkd}};
    for (const auto& [name, form] : forms) {
        if (type == name) {
            steps.emplace_back(FormStep{form});
            return;
        }
    }
    if (type == "Lowercase") {
        steps.emplace_back(LowercaseStep{});
    } else if (type == "Strip") {
        steps.emplace_back(
            StripStep{part.boolean_or("strip_left", true), part.boolean_or("strip_right", true)});
    } else if (type == "StripAccents") {
        steps.emplace_back(StripAccentsStep{});
    } else if (type == "Nmt") {
        steps.emplace_back(NmtStep{});
    } else if (type == "Replace") {
        steps.emplace_back(read_replace(part));
    } else if (type == "Prepend") {
        steps.emplace_back(PrependStep{part.at("prepend").text()});
    } else if (type == "ByteLevel") {
        steps.emplace_back(AlphabetStep{});
    } else if (type == "Precompiled") {
        steps.emplace_back(read_precompiled(part));
    } else if (type == "BertNormalizer") {
        add_bert_normalizer(part, steps);
    } else {
        unknown_type(part, "normalizer");
    }
}

} // namespace

Normalizer read_normalizer(const OptionalPart& part) {
    std::vector<NormalizerStep> steps;
    if (part) {
        flatten(*part, "normalizers", [&](const JsonView& step) { add_normalizer(step, steps); });
    }
    return Normalizer(std::move(steps));
}

Pretokenizer read_pretokenizer(const OptionalPart& part) {
    std::vector<PretokenizerStep> steps;
    if (part) {
        flatten(*part, "pretokenizers", [&](const JsonView& step) { add_pretokenizer(step, steps); });
    }
    return Pretokenizer(std::move(steps));
}

} // namespace ergo
