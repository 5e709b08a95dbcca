// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/chat_format.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/generate/chat_json.h"
#include "engine/template/template.h"

#include <algorithm>
#include <ctime>

namespace ergo {

using jinja::SourcedText;
using jinja::TemplateMap;
using jinja::TemplateValue;

namespace {

// DiscoverLM: plain concatenation, no newlines, no end markers. (DiscoverLM-70M's card; MoA specification
// §1.2)
constexpr const char* discover_markers[] = {"<|system|>", "<|user|>", "<|assistant|>", "<|think|>",
                                            "<|reasoning|>"};
constexpr const char* discover_reply = "<|assistant|><|think|><|reasoning|>";
constexpr const char* chat_ml_markers[] = {"<|im_start|>", "<|im_end|>"};

template <std::size_t N> bool has_all(const Tokenizer& tokenizer, const char* const (&names)[N]) {
    return std::all_of(std::begin(names), std::end(names),
                       [&](const char* name) { return tokenizer.id_of(name).has_value(); });
}

void append_content(SourcedText& out, const ChatMessage& message, std::size_t index) {
    out.append(is_valid_utf8(message.text) ? message.text : replace_invalid_utf8(message.text),
               content_source(index));
}

SourcedText write_discover(const std::vector<ChatMessage>& messages, bool generate) {
    static constexpr const char* openings[] = {"<|system|>", "<|user|>", discover_reply};
    SourcedText out;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        out.append(openings[static_cast<std::size_t>(messages[i].role)], jinja::template_source);
        append_content(out, messages[i], i);
    }
    out.append(generate ? discover_reply : "", jinja::template_source);
    return out;
}

SourcedText write_chat_ml(const std::vector<ChatMessage>& messages, bool generate) {
    SourcedText out;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        out.append("<|im_start|>" + std::string(role_name(messages[i].role)) + "\n", jinja::template_source);
        append_content(out, messages[i], i);
        out.append("<|im_end|>\n", jinja::template_source);
    }
    out.append(generate ? "<|im_start|>assistant\n" : "", jinja::template_source);
    return out;
}

} // namespace

ChatFormat ChatFormat::detect(std::shared_ptr<const Tokenizer> tokenizer, bool base_model) {
    if (!tokenizer) {
        throw Error(ErrorKind::usage, "A chat format needs a tokenizer.");
    }
    ChatFormat format;
    format.tokenizer_ = tokenizer;
    const auto stop_at = [&](const char* name) {
        if (const auto id = tokenizer->id_of(name)) {
            format.stop_ids_.push_back(*id);
        }
    };
    if (!tokenizer->chat_templates().empty()) {
        format.use_template();
    }
    if (format.kind_ == Kind::raw && has_all(*tokenizer, discover_markers)) {
        format.kind_ = Kind::discover_lm;
        stop_at("<|user|>");
        stop_at("<|system|>");
    } else if (format.kind_ == Kind::raw && !base_model &&
               (has_all(*tokenizer, chat_ml_markers) || !format.problem_.empty())) {
        format.kind_ = Kind::chat_ml;
        stop_at("<|im_end|>");
        stop_at("<|endoftext|>");
    }
    if (!format.problem_.empty()) {
        format.problem_ += " " + format.name() + " is used instead.";
    }
    if (const auto eos = tokenizer->eos()) {
        format.stop_ids_.push_back(*eos);
    }
    std::sort(format.stop_ids_.begin(), format.stop_ids_.end());
    format.stop_ids_.erase(std::unique(format.stop_ids_.begin(), format.stop_ids_.end()),
                           format.stop_ids_.end());
    return format;
}

// Takes the template named "default" (or the only one) if it parses and renders a first question.
void ChatFormat::use_template() {
    const auto& texts = tokenizer_->chat_templates();
    const auto named = [&](std::string_view name) {
        return std::find_if(texts.begin(), texts.end(),
                            [&](const ChatTemplateText& t) { return t.name == name; });
    };
    auto chosen = named("default");
    chosen = chosen == texts.end() && texts.size() == 1 ? texts.begin() : chosen;
    try {
        if (chosen == texts.end()) {
            throw Error(ErrorKind::format, "none of the templates is named 'default'.",
                        {.file = texts[0].file});
        }
        template_ = jinja::Template::parse(chosen->text, chosen->file);
        template_file_ = chosen->file;
        if (const auto tools = named("tool_use"); tools != texts.end()) {
            tool_template_ = jinja::Template::parse(tools->text, tools->file);
        }
        kind_ = Kind::jinja;
        write({{Role::user, "Hello", {}}}, true);
        learn_end_of_turn();
    } catch (const Error& error) {
        kind_ = Kind::raw;
        template_.reset();
        problem_ = "The chat template cannot be used (" + std::string(error.what()) + ")";
        problem_.back() = '.';
        problem_.insert(problem_.size() - 1, ")");
    }
}

// What the template writes after a reply ends it: the first special token behind the reply's text.
void ChatFormat::learn_end_of_turn() {
    try {
        const RenderedChat sample =
            render({{Role::user, "a", {}}, {Role::assistant, "b", {}}, {Role::user, "c", {}}}, false);
        const auto end = static_cast<std::size_t>(sample.ranges[1].second);
        for (std::size_t at = end; sample.ranges[1].first < sample.ranges[1].second && at < sample.ids.size();
             ++at) {
            if (tokenizer_->is_special(sample.ids[at])) {
                stop_ids_.push_back(sample.ids[at]);
                return;
            }
        }
    } catch (const Error&) { // a template for one question alone: the configured end ids have to do
    }
}

std::string ChatFormat::name() const {
    switch (kind_) {
    case Kind::jinja: {
        const std::string place = "template in " + printable(template_file_);
        return has_all(*tokenizer_, discover_markers)  ? "DiscoverLM (" + place + ")"
               : has_all(*tokenizer_, chat_ml_markers) ? "ChatML (" + place + ")"
                                                       : place;
    }
    case Kind::discover_lm:
        return "DiscoverLM";
    case Kind::chat_ml:
        return "ChatML";
    case Kind::raw:
        break;
    }
    return "raw completion";
}

SourcedText ChatFormat::run_template(TemplateMap context, bool generate) const {
    context.set(TemplateValue::text("add_generation_prompt"), generate);
    for (const char* name : {"tools", "documents"}) { // templates expect them to be there
        if (!context.find(std::string_view(name))) {
            context.set(TemplateValue::text(name), {});
        }
    }
    for (const auto& [name, text] : tokenizer_->special_tokens()) {
        if (!context.find(std::string_view(name))) {
            context.set(TemplateValue::text(name), TemplateValue::text(text));
        }
    }
    const TemplateValue* tools = context.find(std::string_view("tools"));
    const bool with_tools = tool_template_ && tools && is_true(*tools);
    return (with_tools ? tool_template_ : template_)->render(context, std::time(nullptr));
}

SourcedText ChatFormat::write(const std::vector<ChatMessage>& messages, bool generate) const {
    switch (kind_) {
    case Kind::jinja:
        return run_template(context_of(messages), generate);
    case Kind::discover_lm:
        return write_discover(messages, generate);
    case Kind::chat_ml:
        return write_chat_ml(messages, generate);
    case Kind::raw:
        break;
    }
    SourcedText out;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        append_content(out, messages[i], i);
    }
    return out;
}

RenderedChat ChatFormat::render(const std::vector<ChatMessage>& messages, bool generate,
                                bool trust_text) const {
    return encode(write(messages, generate), messages, trust_text);
}

RenderedChat ChatFormat::render_json(std::string_view json, const std::string& file_name, bool generate,
                                     bool trust_text) const {
    TemplateMap context = read_conversation(json, file_name);
    std::vector<ChatMessage> messages;
    if (kind_ == Kind::jinja) {
        messages.resize(context.find(std::string_view("messages"))->items().size());
        return encode(run_template(std::move(context), generate), messages, trust_text);
    }
    messages = plain_messages(context, name(), file_name);
    return render(messages, generate, trust_text);
}

namespace {

// Where each message's text stands in what was written: its longest unbroken stretch. In order and apart.
std::vector<ByteRange> places_of_content(const SourcedText& text, std::size_t messages) {
    std::vector<ByteRange> places(messages);
    std::size_t begin = 0;
    for (const SourcedText::Run& run : text.runs()) {
        const auto index = content_index(run.source);
        if (index && *index < messages && run.end - begin > places[*index].end - places[*index].begin) {
            places[*index] = {begin, run.end};
        }
        begin = run.end;
    }
    std::size_t floor = 0;
    for (ByteRange& place : places) {
        place.begin = place.empty() ? floor : std::max(place.begin, floor);
        place.end = std::max(place.end, place.begin);
        floor = place.end;
    }
    return places;
}

// All that is data, joined where it touches.
std::vector<ByteRange> data_within(const SourcedText& text) {
    std::vector<ByteRange> ranges;
    std::size_t begin = 0;
    for (const SourcedText::Run& run : text.runs()) {
        if (run.source != jinja::template_source) {
            if (ranges.empty() || ranges.back().end != begin) {
                ranges.push_back({begin, begin});
            }
            ranges.back().end = run.end;
        }
        begin = run.end;
    }
    return ranges;
}

// Puts ids together from stretches of one text.
class Assembly {
  public:
    Assembly(const Tokenizer& tokenizer, std::string_view text, std::vector<ByteRange> plain)
        : tokenizer_(tokenizer), text_(text), plain_(std::move(plain)) {}

    void encode_up_to(std::size_t end) {
        std::vector<ByteRange> plain;
        for (const ByteRange& range : plain_) {
            const std::size_t from = std::max(range.begin, at_), to = std::min(range.end, end);
            if (from < to) {
                plain.push_back({from - at_, to - at_});
            }
        }
        EncodeOptions options;
        options.plain = plain;
        const Encoding made = tokenizer_.encode_with_positions(text_.substr(at_, end - at_), options);
        for (std::size_t i = 0; i < made.ids.size(); ++i) {
            ids.push_back(made.ids[i]);
            begin_.push_back(at_ + made.begin[i]);
        }
        at_ = end;
    }

    void take(const std::vector<std::int32_t>& own, std::size_t end) {
        ids.insert(ids.end(), own.begin(), own.end());
        begin_.resize(ids.size(), at_);
        at_ = end;
    }

    // The first token that begins at or after a byte.
    std::int64_t token_at(std::size_t byte) const {
        return std::lower_bound(begin_.begin(), begin_.end(), byte) - begin_.begin();
    }

    std::vector<std::int32_t> ids;

  private:
    const Tokenizer& tokenizer_;
    std::string_view text_;
    std::vector<ByteRange> plain_;
    std::vector<std::size_t> begin_; // [token], in the text
    std::size_t at_ = 0;             // what comes before is encoded
};

} // namespace

RenderedChat ChatFormat::encode(const SourcedText& text, const std::vector<ChatMessage>& messages,
                                bool trust_text) const {
    const std::vector<ByteRange> places = places_of_content(text, messages.size());
    Assembly assembly(*tokenizer_, text.bytes(), trust_text ? std::vector<ByteRange>() : data_within(text));
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const ByteRange& place = places[i];
        const bool whole = text.bytes().compare(place.begin, place.end - place.begin, messages[i].text) == 0;
        if (!messages[i].ids.empty() && whole && !place.empty()) {
            assembly.encode_up_to(place.begin);
            assembly.take(messages[i].ids, place.end);
        }
    }
    assembly.encode_up_to(text.size());
    RenderedChat out;
    for (const ByteRange& place : places) {
        const std::int64_t begin = assembly.token_at(place.begin);
        out.ranges.emplace_back(begin, std::max(begin, assembly.token_at(place.end)));
    }
    out.ids = std::move(assembly.ids);
    out.text = text.bytes();
    return out;
}

} // namespace ergo
