// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/figure_command.h"

#include "app/figure/export.h"
#include "app/figure/figure_file.h"
#include "app/figure/head_quantity.h"
#include "app/figure/offscreen.h"
#include "app/figure/palette.h"
#include "app/figure/trace_figure.h"
#include "engine/base/error.h"
#include "engine/lab/trace.h"

#include <algorithm>
#include <filesystem>

namespace ergo::cli {

namespace {

using namespace ergosphere;

std::string stage_from(const Arguments& arguments) {
    const std::string layer = arguments.text("--layer");
    const bool digits = !layer.empty() &&
                        std::all_of(layer.begin(), layer.end(), [](char c) { return c >= '0' && c <= '9'; });
    return digits ? "layers." + layer : layer;
}

/// What a map of sites by heads shows under that name; nothing for other views.
std::optional<HeadQuantity> heads_view(const std::string& view) {
    return view == "radius" ? std::nullopt : head_quantity(view == "balls" ? "radius" : view);
}

TraceQuery query_from(const Arguments& arguments) {
    TraceQuery query;
    query.view = arguments.required("--view");
    if (query.view != "attention" && query.view != "router" && query.view != "depth" &&
        !heads_view(query.view)) {
        throw UsageError("--view is attention, router, balls, alpha, mass, drift, horizon or depth, not '" +
                         printable(query.view) + "'.");
    }
    const auto scale = weight_scale(arguments.text("--scale", "weight"));
    if (!scale) {
        throw UsageError("--scale is weight, ratio or log, not '" + printable(arguments.text("--scale")) +
                         "'.");
    }
    query.scale = *scale;
    query.stage = stage_from(arguments);
    query.site = arguments.text("--site");
    query.head = static_cast<int>(arguments.integer("--head", -1, -1, 4095));
    query.token = arguments.integer("--token", -1, -1, INT32_MAX);
    return query;
}

/// What was changed in the model: nobody may take its figure for the model's own.
QStringList changes_of(const Arguments& arguments) {
    std::vector<std::string> changes = recipe_of(arguments).set;
    const auto& more = arguments.all("--set");
    changes.insert(changes.end(), more.begin(), more.end());
    QStringList texts;
    for (const std::string& change : changes) {
        texts << QString::fromStdString(printable(change, 200));
    }
    return texts;
}

/// `spec` with what the command line says otherwise.
FigureSpec spec_from(const Arguments& arguments, FigureSpec spec) {
    const auto text = [&](const char* name) { return QString::fromStdString(arguments.text(name)); };
    if (arguments.has("--width")) {
        spec.width_mm = parse_length_mm(text("--width"));
    }
    if (arguments.has("--height")) {
        spec.height_mm = parse_length_mm(text("--height"));
    }
    spec.dpi = static_cast<int>(arguments.integer("--dpi", spec.dpi, 36, 2400));
    if (arguments.has("--colormap")) {
        spec.colormap = text("--colormap");
        Colormap::named(spec.colormap); // refuses an unknown one before any work
    }
    if (arguments.has("--font")) {
        spec.font_family = text("--font");
    }
    spec.font_pt = arguments.real("--font-size", spec.font_pt);
    if (arguments.has("--black")) {
        spec.black = arguments.real("--black", 0);
    }
    if (arguments.has("--white")) {
        spec.white = arguments.real("--white", 0);
    }
    if (arguments.has("--title")) {
        spec.title = text("--title");
    }
    validate(spec);
    return spec;
}

/// What to trace for the figure: only what it needs.
std::vector<std::string> needed(const Model& model, TraceQuery& query) {
    const ModelInfo& info = model.info();
    std::vector<std::string> names;
    if (query.view == "attention") {
        const auto fits = [&](const AttentionSite& site) {
            return (query.stage.empty() || site.stage == query.stage) &&
                   (query.site.empty() || site.site == query.site);
        };
        const auto site = std::find_if(info.attentions.begin(), info.attentions.end(), fits);
        if (site == info.attentions.end()) {
            std::string known;
            for (const AttentionSite& each : info.attentions) {
                known +=
                    (known.empty() ? "" : ", ") + each.stage + (each.site.empty() ? "" : " " + each.site);
            }
            throw Error(ErrorKind::usage,
                        "The model has no attention at " + printable(query.stage) + " " +
                            printable(query.site) + ".",
                        {.code = "FIG-SITE", .advice = "It has " + known + "."});
        }
        if (query.head >= site->heads) {
            throw Error(ErrorKind::usage, "There is no head " + std::to_string(query.head) + ".",
                        {.code = "FIG-HEAD",
                         .advice = site->label + " has heads 0 to " + std::to_string(site->heads - 1) + "."});
        }
        query.stage = site->stage;
        query.site = site->site;
        return {site->name("attention")};
    }
    for (const DepthSite& depth : info.depths) {
        if (query.view == "depth") {
            names.push_back(depth.weights);
        }
    }
    for (const RouterSite& router : info.routers) {
        if (query.view == "router") {
            names.push_back(router.shares);
        }
    }
    const auto heads = heads_view(query.view);
    for (const AttentionSite& site : info.attentions) {
        std::vector<std::string> quantities;
        if (heads == HeadQuantity::radius && site.has_ball) {
            quantities = {"radius", "alpha", "kept_share"};
        } else if (heads && heads != HeadQuantity::radius) {
            quantities = {observable_of(*heads)};
        }
        for (const std::string& quantity : quantities) {
            if (find_observable(model.observables(), site.name(quantity)) >= 0) {
                names.push_back(site.name(quantity));
            }
        }
    }
    if (names.empty()) {
        throw Error(ErrorKind::usage,
                    query.view == "balls" ? "No attention of this model has a ball."
                    : heads               ? "No attention of this model has a " + observable_of(*heads) + "."
                    : query.view == "depth" ? "This model has no attention over depth."
                                            : "This model has no router.",
                    {.code = "FIG-VIEW"});
    }
    return names;
}

std::vector<std::int32_t> tokens_from(const Arguments& arguments, const OpenedModel& opened) {
    if (arguments.has("--tokens")) {
        return parse_ids(arguments.text("--tokens"));
    }
    if (!arguments.has("-p")) {
        throw UsageError("A figure of a model needs --tokens or -p.");
    }
    return prompt_ids(arguments, opened);
}

FigureData from_model(const Arguments& arguments, const Context& context, TraceQuery query,
                      FigureSpec& spec) {
    const auto opened = open_for(arguments, context);
    const auto& settings = opened->model->info().settings;
    if (const auto eps = settings.find("knob.gravity_eps"); eps != settings.end()) {
        query.softening = QString::fromStdString(eps->second).toDouble();
    }
    TraceRequest request;
    request.tokens = tokens_from(arguments, *opened);
    request.observe = needed(*opened->model, query);
    if (opened->tokenizer) {
        for (const std::int32_t id : request.tokens) {
            query.tokens.append(QString::fromStdString(opened->tokenizer->decode({&id, 1})));
        }
    }
    TraceArrays arrays;
    for (auto& [name, array] :
         run_trace(*opened->model, *opened->backend, request, context.cancel, progress_line())) {
        arrays.insert_or_assign(name, std::move(array));
    }
    spec.provenance = QString::fromStdString(opened->model->info().name + ", " +
                                             opened->backend->info().name + ", " + precision_text(*opened));
    if (const QStringList changes = changes_of(arguments); !changes.isEmpty()) {
        spec.provenance += QStringLiteral(" · altered: ") + changes.join(QStringLiteral(", "));
    }
    return figure_from_trace(arrays, query);
}

/// A trace, or a figure that was kept as numbers: that one brings its own look.
FigureFile from_arrays(const Arguments& arguments, const std::string& path, const FigureSpec& spec) {
    const TraceArrays arrays = read_npz(path);
    const bool kept = is_figure_file(arrays);
    for (const char* option : {"-p", "--tokens"}) {
        if (arguments.has(option)) {
            throw UsageError(std::string(kept ? "A figure" : "A trace") +
                             " has its tokens already: leave out " + option + ".");
        }
    }
    if (kept) {
        for (const char* option : {"--view", "--layer", "--site", "--head", "--scale"}) {
            if (arguments.has(option)) {
                throw UsageError(std::string("The file is a finished figure: leave out ") + option + ".");
            }
        }
        FigureFile file = figure_from_file(arrays);
        file.spec = spec_from(arguments, file.spec);
        return file;
    }
    FigureFile file{spec, figure_from_trace(arrays, query_from(arguments))};
    file.spec.provenance = QString::fromStdString(printable(std::filesystem::path(path).filename().string()));
    return file;
}

} // namespace

Syntax figure_syntax() {
    return {
        "figure",
        "The figure that the window exports, as .pdf, .svg, .png, .csv or .npz.\n"
        "SOURCE is a MODEL with --tokens or -p, a trace (.npz), or a figure kept as .npz.",
        {"SOURCE"},
        with_model_options(
            {{"--view", "VIEW", "attention, router, balls, alpha, mass, drift, horizon or depth"},
             {"-o", "FILE",
              "where to write; the extension decides the form (.npz keeps the numbers and the look)"},
             {"--tokens", "IDS", "token ids: 1,2,3 or @FILE with one per line"},
             {"-p", "TEXT", "text instead of token ids"},
             special_option(),
             {"--layer", "L", "attention: layer number or stage (lm_head); default the first"},
             {"--site", "NAME", "attention: metric_attention, metric_mqa …; default the first"},
             {"--head", "H", "attention: head; default all heads averaged"},
             {"--token", "T", "depth: position of the token; default the average over all"},
             {"--scale", "S", "attention: weight (default), ratio to an even look at all keys, or its log"},
             {"--width", "LENGTH", "3.25in, 89mm (default), 8.9cm"},
             {"--height", "LENGTH", "default: by the picture's proportions"},
             {"--dpi", "N", "pixels an inch of .png, 36 to 2400; default 300"},
             {"--colormap", "NAME", "cividis, viridis, magma, diverging"},
             {"--black", "X", "value drawn with the map's first colour"},
             {"--white", "X", "value drawn with the map's last colour"},
             {"--font", "FAMILY", "default Inter"},
             {"--font-size", "PT", "5 to 72, default 7"},
             {"--title", "TEXT", "above the picture; default what and where, \"\" for none"}})};
}

int figure_command(const Arguments& arguments, const Context& context) {
    const auto source = arguments.positional(0);
    if (!source) {
        throw UsageError("SOURCE is missing: a model, a trace (.npz) or a figure (.npz).");
    }
    const std::string out = arguments.required("-o");
    FigureFile figure{spec_from(arguments, {}), {}};
    const bool arrays = source->ends_with(".npz");
    if (arrays) {
        figure = from_arrays(arguments, *source, figure.spec);
    } else {
        figure.data = from_model(arguments, context, query_from(arguments), figure.spec);
    }
    if (figure.spec.title.isEmpty() && !arguments.has("--title") && (!arrays || arguments.has("--view"))) {
        const auto* attention = std::get_if<AttentionFigure>(&figure.data);
        const auto* depth = std::get_if<DepthFigure>(&figure.data);
        figure.spec.title = attention ? attention->place
                            : depth   ? QStringLiteral("Depth weights, ") + depth->place
                            : view_name(figure.data) == "router"
                                ? QStringLiteral("Shares of the paths")
                                : heads_title(*heads_view(arguments.required("--view")));
        if (const QStringList changes = changes_of(arguments); !arrays && !changes.isEmpty()) {
            figure.spec.title += QStringLiteral(" · altered: ") + shortened(changes);
        }
    }
    const Offscreen application("ergo");
    export_figure(figure.spec, figure.data, QString::fromStdString(out));
    return 0;
}

} // namespace ergo::cli
