// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/lab/convert.h"

namespace ergo::cli {

Syntax convert_syntax() {
    return {
        "convert",
        "Writes a checkpoint again in another element type, with its tokenizer and small files.\n"
        "The result is a folder with one model.safetensors; it appears whole or not at all, never over its "
        "source.",
        {"MODEL"},
        {{"--out", "DIR", "folder to write: new or empty"},
         {"--dtype", "D", "f32, bf16 or f16, for the weight matrices"}}};
}

int convert_command(const Arguments& arguments, const Context& context) {
    const std::string out = arguments.required("--out"), dtype = arguments.required("--dtype");
    convert(*open_checkpoint(*arguments.positional(0)), out, dtype, progress_line(), context.cancel);
    return 0;
}

} // namespace ergo::cli
