// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/chat_format.h"

#include "engine/base/error.h"

#include <algorithm>

namespace ergo {

namespace {

// DiscoverLM: plain concatenation, no newlines, no end markers. (DiscoverLM-70M's card; MoA specification
// §1.2)
constexpr const char* discover_markers[] = {"<|system|>", "<|user|>", "<|assistant|>", "<|think|>",
                                            "<|reasoning|>"};
constexpr const char* chat_ml_markers[] = {"<|im_start|>", "<|im_end|>"};

template <std::size_t N> bool has_all(const Tokenizer& tokenizer, const char* const (&names)[N]) {
    return std::all_of(std::begin(names), std::end(names),
                       [&](const char* name) { return tokenizer.id_of(name).has_value(); });
}

class Renderer {
  public:
    explicit Renderer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    void marker(const char* name) { out.ids.push_back(*tokenizer_.id_of(name)); }

    // What the format itself writes between markers.
    void plain(std::string_view text) { append(tokenizer_.encode(text)); }

    void content(const ChatMessage& message) {
        const auto begin = static_cast<std::int64_t>(out.ids.size());
        EncodeOptions untrusted;
        untrusted.match_special_in_text = false;
        append(message.ids.empty() ? tokenizer_.encode(message.text, untrusted) : message.ids);
        out.ranges.emplace_back(begin, static_cast<std::int64_t>(out.ids.size()));
    }

    RenderedChat out;

  private:
    void append(const std::vector<std::int32_t>& ids) {
        out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    }
    const Tokenizer& tokenizer_;
};

RenderedChat render_discover(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                             bool generate) {
    Renderer r(tokenizer);
    const auto open_reply = [&r] {
        r.marker("<|assistant|>");
        r.marker("<|think|>");
        r.marker("<|reasoning|>");
    };
    for (const ChatMessage& message : messages) {
        switch (message.role) {
        case Role::system:
            r.marker("<|system|>");
            break;
        case Role::user:
            r.marker("<|user|>");
            break;
        case Role::assistant:
            open_reply();
            break;
        }
        r.content(message);
    }
    if (generate) {
        open_reply();
    }
    return std::move(r.out);
}

RenderedChat render_chat_ml(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                            bool generate) {
    constexpr const char* names[] = {"system\n", "user\n", "assistant\n"};
    Renderer r(tokenizer);
    for (const ChatMessage& message : messages) {
        r.marker("<|im_start|>");
        r.plain(names[static_cast<std::size_t>(message.role)]);
        r.content(message);
        r.marker("<|im_end|>");
        r.plain("\n");
    }
    if (generate) {
        r.marker("<|im_start|>");
        r.plain(names[2]);
    }
    return std::move(r.out);
}

} // namespace

ChatFormat ChatFormat::detect(std::shared_ptr<const Tokenizer> tokenizer, bool base_model) {
    if (!tokenizer) {
        throw Error(ErrorKind::usage, "A chat format needs a tokenizer.");
    }
    ChatFormat format;
    const auto stop_at = [&](const char* name) {
        if (const auto id = tokenizer->id_of(name)) {
            format.stop_ids_.push_back(*id);
        }
    };
    if (has_all(*tokenizer, discover_markers)) {
        format.kind_ = Kind::discover_lm;
        stop_at("<|user|>");
        stop_at("<|system|>");
    } else if (!base_model && has_all(*tokenizer, chat_ml_markers)) {
        format.kind_ = Kind::chat_ml;
        stop_at("<|im_end|>");
        stop_at("<|endoftext|>");
    }
    if (const auto eos = tokenizer->eos()) {
        format.stop_ids_.push_back(*eos);
    }
    std::sort(format.stop_ids_.begin(), format.stop_ids_.end());
    format.stop_ids_.erase(std::unique(format.stop_ids_.begin(), format.stop_ids_.end()),
                           format.stop_ids_.end());
    format.tokenizer_ = std::move(tokenizer);
    return format;
}

std::string ChatFormat::name() const {
    switch (kind_) {
    case Kind::discover_lm:
        return "DiscoverLM";
    case Kind::chat_ml:
        return "ChatML";
    case Kind::raw:
        break;
    }
    return "raw completion";
}

RenderedChat ChatFormat::render(const std::vector<ChatMessage>& messages, bool generate) const {
    if (kind_ == Kind::discover_lm) {
        return render_discover(*tokenizer_, messages, generate);
    }
    if (kind_ == Kind::chat_ml) {
        return render_chat_ml(*tokenizer_, messages, generate);
    }
    Renderer r(*tokenizer_);
    for (const ChatMessage& message : messages) {
        r.content(message);
    }
    return std::move(r.out);
}

} // namespace ergo
