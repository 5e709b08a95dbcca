// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"
#include "engine/lab/compare.h"
#include "engine/lab/convert.h"

#include <cstdio>

namespace ergo::cli {

Syntax convert_syntax() {
    return {
        "convert",
        "Writes a checkpoint again in another type, with its tokenizer and small files.\n"
        "The result is a folder with one model.safetensors; it appears whole or not at all, never over its "
        "source.\n"
        "q8 and q4 store whole numbers of 8 and 4 bits with a 16-bit scale (q4: and minimum) for every 32 "
        "inputs;\n"
        "what that costs is measured over fixed texts first, printed, and kept in the file.",
        {"MODEL"},
        {{"--out", "DIR", "folder to write: new or empty"},
         attach_option(),
         {"--dtype", "D", "f32, bf16, f16, q8 or q4, for the weight matrices"}}};
}

int convert_command(const Arguments& arguments, const Context& context) {
    const std::string out = arguments.required("--out"), dtype = arguments.required("--dtype");
    const std::string source = *arguments.positional(0);
    const auto checkpoint = checkpoint_for(arguments, source, context);
    std::map<std::string, std::string> metadata;
    std::string report;
    if (dtype == "q8" || dtype == "q4") {
        try {
            OpenModelOptions rounded;
            rounded.attachments = checkpoint->attachments();
            rounded.model.dtype = dtype;
            const Comparison c = rounding_cost(source, rounded, progress_line(), context.cancel);
            metadata = comparison_metadata(c);
            char text[256];
            std::snprintf(
                text, sizeof text,
                "mean KL divergence from the original %.3g nats, largest difference of logits %.3g (of "
                "%.3g), the same first token %.1f %%, over %lld tokens\n",
                c.mean_divergence, c.largest_logit_difference, c.largest_logit, 100 * c.same_first,
                static_cast<long long>(c.tokens));
            report = text;
        } catch (const Error& error) { // what cannot be run can still be converted
            if (error.kind() == ErrorKind::cancelled) {
                throw;
            }
            report = "not measured against the original: " + std::string(error.what()) + "\n";
        }
    }
    convert(*checkpoint, out, dtype, progress_line(), context.cancel, metadata);
    print(report);
    return 0;
}

} // namespace ergo::cli
