// SPDX-License-Identifier: GPL-3.0-or-later
// `ergo`: everything the windows show, for scripts. Exit codes: 0 done, 1 the job failed, 2 wrong usage.
#include "app/cli/commands.h"
#include "app/cli/figure_command.h"
#include "engine/base/error.h"
#include "engine/base/mapping_guard.h"

#include <csignal>
#include <cstdio>
#include <iterator>

namespace {

using namespace ergo;
using namespace ergo::cli;

const CancelToken* interrupted = nullptr; // a signal handler has no other way to reach the running command

void on_interrupt(int) {
    interrupted->cancel(); // one relaxed store: safe in a handler
}

const Command commands[] = {
    {"info", info_syntax, info_command},
    {"tokenize", tokenize_syntax, tokenize_command},
    {"detokenize", detokenize_syntax, detokenize_command},
    {"template", template_syntax, template_command},
    {"run", run_syntax, run_command},
    {"logits", logits_syntax, logits_command},
    {"trace", trace_syntax, trace_command},
    {"figure", figure_syntax, figure_command},
    {"eval", eval_syntax, eval_command},
    {"ablate", ablate_syntax, ablate_command},
    {"verify", verify_syntax, verify_command},
    {"bench", bench_syntax, bench_command},
    {"synth", synth_syntax, synth_command},
    {"convert", convert_syntax, convert_command},
    {"schema", schema_syntax, schema_command},
    {"devices", devices_syntax, devices_command},
};

std::string overview() {
    std::string text = "Usage: ergo COMMAND …\n\n"
                       "MODEL is a folder, a weights file (.safetensors, .bin, .pt, .pt.zst …), an index "
                       "file, or demo:NAME.\n\nCommands:\n";
    for (const Command& command : commands) {
        const Syntax syntax = command.syntax();
        text += "  " + command.name + std::string(12 - command.name.size(), ' ') +
                syntax.summary.substr(0, syntax.summary.find('\n')) + "\n";
    }
    return text +
           "\n`ergo COMMAND --help` tells more. Exit codes: 0 done, 1 the job failed, 2 wrong usage.\n";
}

int fail(int code, const std::string& sentence) {
    std::fprintf(stderr, "ergo: %s\n", sentence.c_str());
    return code;
}

int dispatch(const Command& command, std::vector<std::string> words) {
    const Syntax syntax = command.syntax();
    for (const std::string& word : words) {
        if (word == "--") {
            break;
        }
        if (word == "--help" || word == "-h") {
            print(syntax.help());
            return 0;
        }
    }
    Context context{std::move(words), {}};
    interrupted = &context.cancel;
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGPIPE, SIG_IGN); // a closed pipe becomes a write error with a sentence
    std::signal(SIGXFSZ, SIG_IGN); // and so does a limit on the size of files
    return command.run(Arguments(syntax, context.words), context);
}

} // namespace

int main(int argc, char** argv) {
    install_mapping_guard();
    const std::vector<std::string> words(argv + 1, argv + argc);
    try {
        if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
            print(overview());
            return words.empty() ? 2 : 0;
        }
        if (words[0] == "--version") {
            print("ergo " ERGO_VERSION "\n");
            return 0;
        }
        for (const Command& command : commands) {
            if (command.name == words[0]) {
                return dispatch(command, {words.begin() + 1, words.end()});
            }
        }
        return fail(2, "there is no command '" + printable(words[0]) + "'; `ergo --help` lists them.");
    } catch (const UsageError& error) {
        return fail(2, error.what());
    } catch (const Error& error) {
        return fail(error.kind() == ErrorKind::usage ? 2 : 1, error.what());
    } catch (const std::bad_alloc&) {
        return fail(1, "there is not enough memory for this; try a shorter --context.");
    } catch (const std::exception& error) {
        return fail(1, error.what());
    }
}
