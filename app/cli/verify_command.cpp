// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"
#include "engine/lab/verify.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ergo::cli {

namespace {

using nlohmann::json;

json to_json(const ParityReport& report, const DeviceInfo& device) {
    json rows = json::array();
    for (const ParityRow& row : report.rows) {
        rows.push_back({{"what", row.what},
                        {"how", row.how},
                        {"error", row.error},
                        {"tolerance", row.tolerance},
                        {"passed", row.passed()}});
    }
    return {{"family", report.family},   {"source", report.source}, {"backend", device.backend},
            {"device", device.name},     {"rows", std::move(rows)}, {"largest_error", report.largest_error()},
            {"passed", report.passed()}, {"notes", report.notes}};
}

std::string table(const ParityReport& report, const DeviceInfo& device) {
    std::string out = "family " + report.family + " on " + device.backend + " (" + device.name + ")\n";
    if (!report.source.empty()) {
        out += "stored numbers: " + report.source + "\n";
    }
    char line[256];
    for (const ParityRow& row : report.rows) {
        std::snprintf(line, sizeof line, "%-36s %-16s %9.1e of %.0e  %s\n", row.what.c_str(), row.how.c_str(),
                      row.error, row.tolerance, row.passed() ? "ok" : "TOO LARGE");
        out += line;
    }
    for (const std::string& note : report.notes) {
        out += note + "\n";
    }
    std::snprintf(line, sizeof line, "largest error of logits %.1e, relative to the largest logit\n",
                  report.largest_error());
    return out + line;
}

} // namespace

Syntax verify_syntax() {
    return {
        "verify",
        "Runs the family's built-in parity set on this machine and backend: small generated models whose\n"
        "logits were computed by an independent reference, then the model's own weights against plain\n"
        "scalar code. Exit code 1 when an error exceeds its tolerance.",
        {"MODEL"},
        with_model_options({{"--json", "", "print one JSON object"}})};
}

int verify_command(const Arguments& arguments, const Context& context) {
    const auto opened = open_for(arguments, context);
    const ParityReport report = verify_parity(*opened, progress_line(), context.cancel);
    const DeviceInfo device = opened->backend->info();
    print(arguments.has("--json") ? to_json(report, device).dump(1) + "\n" : table(report, device));
    if (!report.passed()) {
        throw Error(ErrorKind::mismatch,
                    "The results on this machine differ from the reference by more than the tolerance.");
    }
    return 0;
}

} // namespace ergo::cli
