// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of `ergo`. Each parses its own words and returns the exit code; errors are thrown.
#pragma once

#include "app/cli/arguments.h"
#include "engine/base/cancel.h"
#include "engine/generate/opened_model.h"
#include "engine/lab/recipe.h"

#include <functional>
#include <string>
#include <vector>

namespace ergo::cli {

/// Everything a command is given. `cancel` is set by Ctrl-C.
struct Context {
    std::vector<std::string> words; ///< what follows the command's name
    CancelToken cancel;
};

struct Command {
    std::string name;
    Syntax (*syntax)();
    int (*run)(const Arguments&, const Context&);
};

Syntax info_syntax();
int info_command(const Arguments&, const Context&);
Syntax tokenize_syntax();
int tokenize_command(const Arguments&, const Context&);
Syntax detokenize_syntax();
int detokenize_command(const Arguments&, const Context&);
Syntax template_syntax();
int template_command(const Arguments&, const Context&);
Syntax run_syntax();
int run_command(const Arguments&, const Context&);
Syntax logits_syntax();
int logits_command(const Arguments&, const Context&);
Syntax trace_syntax();
int trace_command(const Arguments&, const Context&);
Syntax convert_syntax();
int convert_command(const Arguments&, const Context&);
Syntax schema_syntax();
int schema_command(const Arguments&, const Context&);
Syntax synth_syntax();
int synth_command(const Arguments&, const Context&);
Syntax bench_syntax();
int bench_command(const Arguments&, const Context&);
Syntax eval_syntax();
int eval_command(const Arguments&, const Context&);
Syntax ablate_syntax();
int ablate_command(const Arguments&, const Context&);
Syntax verify_syntax();
int verify_command(const Arguments&, const Context&);
Syntax devices_syntax();
int devices_command(const Arguments&, const Context&);

/// Options of every command that runs a model: --backend, --threads, --dtype, --context, --allow-unused,
/// --attach, --set, --recipe.
std::vector<Option> model_options();
/// --attach, for commands that have no other of them.
Option attach_option();
std::vector<Attachment> attachments_of(const Arguments& arguments);
/// `own` followed by model_options().
std::vector<Option> with_model_options(std::vector<Option> own);
OpenModelOptions parse_model_options(const Arguments& arguments);
/// The file of --recipe; an empty recipe without it.
Recipe recipe_of(const Arguments& arguments);
/// Opens MODEL with those options; progress goes to stderr when that is a terminal.
std::shared_ptr<const OpenedModel> open_for(const Arguments& arguments, const Context& context);
/// A progress line on stderr, only on a terminal; erased when `done` reaches `total`.
Progress progress_line();
/// The headers of `source`, with what --attach gives it.
std::shared_ptr<const Checkpoint> checkpoint_for(const Arguments& arguments, const std::string& source,
                                                 const Context& context);
/// The tokenizer of MODEL, or of a folder that holds only one; an Error when there is none.
std::shared_ptr<const Tokenizer> load_tokenizer(const Arguments& arguments, const Context& context);
/// The tokenizer, or an Error that says the checkpoint has none.
const Tokenizer& tokenizer_of(const OpenedModel& opened);
/// --special, for commands that take a prompt.
Option special_option();
/// Ids of -p. Special tokens in what a person types are text like any other, unless --special asks for them.
std::vector<std::int32_t> prompt_ids(const Arguments& arguments, const OpenedModel& opened);
/// Prints to stdout and fails with Error(io) when stdout is gone or full.
void print(const std::string& text);

} // namespace ergo::cli
