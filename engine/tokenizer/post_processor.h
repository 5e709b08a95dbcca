// SPDX-License-Identifier: GPL-3.0-or-later
// Post-processors: tokens put around a text when special tokens are asked for (tokenizer.json,
// `post_processor`). A plain value, any thread may apply it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ergo {

class PostProcessor {
  public:
    /// An item of a template: ids to write, or (nullopt) the text's own.
    using Item = std::optional<std::vector<std::int32_t>>;
    using Template = std::vector<Item>;

    PostProcessor() = default;
    /// Each template is applied to what the one before it gave.
    explicit PostProcessor(std::vector<Template> templates) : templates_(std::move(templates)) {}

    std::vector<std::int32_t> apply(std::vector<std::int32_t> ids) const {
        for (const Template& items : templates_) {
            std::vector<std::int32_t> out;
            out.reserve(ids.size() + items.size());
            for (const Item& item : items) {
                const std::vector<std::int32_t>& part = item ? *item : ids;
                out.insert(out.end(), part.begin(), part.end());
            }
            ids = std::move(out);
        }
        return ids;
    }

    /// How many ids apply() puts before the text's own (before its first copy of them).
    std::size_t before() const {
        std::size_t count = 0;
        for (const Template& items : templates_) {
            for (auto item = items.begin(); item != items.end() && *item; ++item) {
                count += (*item)->size();
            }
        }
        return count;
    }

    const std::vector<Template>& templates() const { return templates_; }

  private:
    std::vector<Template> templates_;
};

} // namespace ergo
