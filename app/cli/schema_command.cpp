// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"
#include "engine/lab/suggest.h"

#include <cstdio>

namespace ergo::cli {

Syntax schema_syntax() {
    return {"schema",
            "schema suggest MODEL: drafts a schema for an unknown layout of a MoA checkpoint, as JSON.\n"
            "Shapes, the pattern of layers, words in the names and values decide; what is unsure is said on "
            "stderr.\n"
            "Put the draft, read and corrected, into a folder and name it with --schemas, or into\n"
            "~/.config/ergosphere/schemas.",
            {"suggest", "MODEL"},
            {}};
}

int schema_command(const Arguments& arguments, const Context&) {
    if (*arguments.positional(0) != "suggest") {
        throw UsageError("'" + printable(*arguments.positional(0)) +
                         "' is nothing that ergo schema can do; it can suggest.");
    }
    const SchemaDraft draft = suggest_schema(*open_checkpoint(*arguments.positional(1)));
    for (const std::string& note : draft.notes) {
        std::fprintf(stderr, "%s\n", printable(note, 400).c_str());
    }
    std::fprintf(stderr, "%zu kinds of tensors matched, %zu of them unsure\n", draft.matched, draft.unsure);
    print(draft.json);
    return 0;
}

} // namespace ergo::cli
