// SPDX-License-Identifier: GPL-3.0-or-later
// The registry of model families: one line each.
#include "engine/base/error.h"
#include "engine/model/kotodama/kotodama.h"
#include "engine/model/moa/moa.h"
#include "engine/model/model.h"
#include "engine/model/qwen2/qwen2.h"

namespace ergo {

namespace {

struct Family {
    const char* name;
    bool (*recognises)(const Checkpoint& checkpoint);
    std::shared_ptr<const Model> (*open)(std::shared_ptr<const Checkpoint> checkpoint,
                                         const OpenOptions& options);
    bool takes_masses = false; ///< gravity masses can be attached
};

constexpr Family kFamilies[] = {
    {"MoA (moa_metric)", moa::recognises, moa::open},
    {"Kotodama (block attention residuals)", kotodama::recognises, kotodama::open},
    {"Qwen2 and Gravity-2 (qwen2)", qwen2::recognises, qwen2::open, true},
};

/// What the checkpoint looks like, for the error of an unknown family.
std::string description(const Checkpoint& checkpoint) {
    const std::size_t count = checkpoint.order().size();
    std::string out = std::to_string(count) + (count == 1 ? " tensor" : " tensors");
    for (std::size_t i = 0; i < checkpoint.order().size() && i < 3; ++i) {
        out += (i ? ", " : " (") + printable(checkpoint.order()[i], 80);
    }
    if (!checkpoint.order().empty()) {
        out += checkpoint.order().size() > 3 ? ", …)" : ")";
    }
    const auto at = checkpoint.config_json().find("\"model_type\"");
    if (at != std::string::npos) {
        const std::string tail = checkpoint.config_json().substr(at, 80);
        out += ", " + printable(tail.substr(0, tail.find_first_of(",}\n")));
    }
    return out;
}

} // namespace

std::shared_ptr<const Model> open_model(std::shared_ptr<const Checkpoint> checkpoint,
                                        const OpenOptions& options) {
    checkpoint->check_runnable();
    for (const Family& family : kFamilies) {
        if (family.recognises(*checkpoint)) {
            if (checkpoint->attached(AttachmentKind::masses) && !family.takes_masses) {
                throw Error(ErrorKind::mismatch,
                            std::string("gravity masses are attached, but a model of the family ") +
                                family.name + " has no use for them.",
                            {.code = "G-MASS", .advice = "Attach them to a Qwen2-shaped model."});
            }
            return family.open(std::move(checkpoint), options);
        }
    }
    std::string supported;
    for (const Family& family : kFamilies) {
        supported += (supported.empty() ? "" : ", ") + std::string(family.name);
    }
    throw Error(ErrorKind::unsupported,
                "the model family is not known: found " + description(*checkpoint) +
                    "; supported: " + supported + ".",
                {.code = "MODEL-FAMILY",
                 .file = checkpoint->display_name(),
                 .advice = "Its tensors can be listed (ergo info --tensors)."});
}

} // namespace ergo
