// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/verify.h"

#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/checkpoint/deterministic.h"
#include "engine/lab/synth.h"
#include "engine/lab/trace.h"

#include <nlohmann/json.hpp>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <system_error>

namespace ergo {

namespace {

using Json = nlohmann::json;

constexpr double own_tolerance = 2e-4, observable_tolerance = 1e-3;
constexpr std::int64_t own_tokens = 12;
// The plain reference holds every weight as float32 and multiplies one number at a time.
constexpr std::int64_t most_parameters = 500'000'000;

struct Way {
    const char* name;
    bool decode;
    std::int64_t chunk; // 0: all tokens in one pass
};
constexpr Way ways[] = {{"one pass", false, 0}, {"chunks of 7", false, 7}, {"token by token", true, 0}};

/// Largest difference over largest magnitude; infinite where a number is missing or NaN.
double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
    if (got.size() != want.size()) {
        return INFINITY;
    }
    double largest = 0, scale = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (got[i] == want[i]) { // equal infinities included
            continue;
        }
        const double difference = std::abs(got[i] - want[i]);
        largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
    }
    for (const double x : want) {
        scale = std::isfinite(x) ? std::max(scale, std::abs(x)) : scale;
    }
    return largest == 0 ? 0 : largest / std::max(scale, 1e-12);
}

/// Knobs as they are given by hand: texts without quotes.
std::map<std::string, std::string> knobs_of(const Json& object) {
    std::map<std::string, std::string> out;
    for (const auto& [name, value] : object.items()) {
        out[name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    return out;
}

SynthRequest request_of(const Json& each) {
    SynthRequest request;
    request.config = each.at("config").dump();
    request.preset = each.at("preset");
    request.seed = each.at("seed");
    request.table_jitter = each.value("table_jitter", 0.0);
    request.knobs = knobs_of(each.at("knobs"));
    return request;
}

/// A folder of its own below the system's for temporary files, removed with all that is in it.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string path = (std::filesystem::temp_directory_path() / "ergo-verify-XXXXXX").string();
        if (!mkdtemp(path.data())) {
            throw Error(ErrorKind::io, "A temporary folder could not be made: " +
                                           std::error_code(errno, std::generic_category()).message() + ".");
        }
        path_ = path;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

std::vector<double> rows_of(const NpyArray& logits, const Json& each) {
    const auto all = logits.to_doubles();
    const auto width = static_cast<std::size_t>(logits.shape.at(1));
    std::vector<double> out;
    for (const std::size_t row : each.at("rows").get<std::vector<std::size_t>>()) {
        out.insert(out.end(), all.begin() + static_cast<std::ptrdiff_t>(row * width),
                   all.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    }
    return out;
}

class Verifier {
  public:
    Verifier(const OpenedModel& opened, const Progress& progress, const CancelToken& cancel)
        : opened_(opened), progress_(progress), cancel_(cancel) {
        report_.family = opened.model->info().family;
    }

    ParityReport run() {
        stored_numbers();
        own_weights();
        return std::move(report_);
    }

  private:
    void say(double done, double total, const std::string& what) const {
        cancel_.check();
        if (progress_) {
            progress_(done, total, what);
        }
    }

    void stored_numbers() {
        const EmbeddedFile* file = find_embedded("verify/" + report_.family + ".json");
        if (!file) {
            report_.notes.push_back("No reference numbers are stored for the family " + report_.family + ".");
            return;
        }
        try {
            const Json set = Json::parse(file->text());
            report_.source = set.at("source");
            const Json& cases = set.at("cases");
            for (std::size_t i = 0; i < cases.size(); ++i) {
                say(static_cast<double>(i), static_cast<double>(cases.size() + 1), "parity set");
                compare(cases[i], set.at("tolerance"));
            }
        } catch (const Json::exception& error) {
            throw Error(ErrorKind::format, "The built-in parity set of " + report_.family +
                                               " cannot be read: " + error.what() + ".");
        }
    }

    void compare(const Json& each, double tolerance) {
        const TemporaryFolder folder; // as a person would open it, files beside the weights included
        synth(request_of(each), folder.path(), {}, cancel_);
        OpenOptions options;
        options.knobs = knobs_of(each.value("set", Json::object()));
        const auto model = open_model(Checkpoint::open(folder.path()), options);
        const auto tokens = each.at("tokens").get<std::vector<std::int32_t>>();
        std::vector<double> want;
        for (const Json& row : each.at("logits")) {
            want.insert(want.end(), row.begin(), row.end());
        }
        for (const Way& way : ways) {
            const NpyArray got =
                run_logits(*model, *opened_.backend, tokens, way.decode, cancel_, {}, way.chunk);
            report_.rows.push_back(
                {each.at("label"), way.name, relative_error(rows_of(got, each), want), tolerance});
        }
    }

    void own_weights() {
        const Model& model = *opened_.model;
        if (model.info().parameters > most_parameters) {
            report_.notes.push_back("The model's own " + std::to_string(model.info().parameters) +
                                    " parameters are too many for the plain reference ops, so only the "
                                    "parity set was run.");
            return;
        }
        say(1, 2, "own weights");
        const std::int64_t count = std::min({own_tokens, model.max_positions(), opened_.context});
        const HashStream stream(1, "verify.tokens");
        TraceRequest request;
        for (std::int64_t i = 0; i < count; ++i) {
            request.tokens.push_back(static_cast<std::int32_t>(stream.integer(static_cast<std::uint64_t>(i)) %
                                                               model.info().vocabulary));
        }
        const auto plain = make_backend("reference", 1);
        const NamedArrays want = run_trace(model, *plain, request, cancel_, {});
        const NamedArrays got = run_trace(model, *opened_.backend, request, cancel_, {});
        for (const Way& way : ways) {
            const NpyArray logits =
                run_logits(model, *opened_.backend, request.tokens, way.decode, cancel_, {}, way.chunk);
            report_.rows.push_back({"own weights", way.name,
                                    relative_error(logits.to_doubles(), want.at(1).second.to_doubles()),
                                    own_tolerance});
        }
        ParityRow traced{"own weights", "observables", 0, observable_tolerance};
        std::string worst;
        for (std::size_t i = 2; i < want.size(); ++i) {
            if (want[i].second.descr == "|u1" || want[i].first.ends_with(".ti_violation")) {
                continue; // decisions and their counts: a key on a ball's rim may fall either way
            }
            const double error = relative_error(got.at(i).second.to_doubles(), want[i].second.to_doubles());
            if (!(error <= traced.error)) {
                traced.error = error;
                worst = want[i].first;
            }
        }
        traced.how += worst.empty() ? "" : " (" + worst + ")";
        report_.rows.push_back(traced);
    }

    const OpenedModel& opened_;
    const Progress& progress_;
    CancelToken cancel_;
    ParityReport report_;
};

} // namespace

bool ParityReport::passed() const {
    return std::all_of(rows.begin(), rows.end(), [](const ParityRow& row) { return row.passed(); });
}

double ParityReport::largest_error() const {
    double largest = 0;
    for (const ParityRow& row : rows) {
        if (!row.how.starts_with("observables")) {
            largest = std::max(largest, row.error);
        }
    }
    return largest;
}

ParityReport verify_parity(const OpenedModel& opened, const Progress& progress, const CancelToken& cancel) {
    ParityReport report = Verifier(opened, progress, cancel).run();
    if (progress) {
        progress(1, 1, "parity set");
    }
    return report;
}

} // namespace ergo
