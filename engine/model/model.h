// SPDX-License-Identifier: GPL-3.0-or-later
// A model family's model: opened from a checkpoint, knows its observables, builds plans. Knows no backend.
// Immutable after open_model; shared by sessions, windows and the command line from any thread.
#pragma once

#include "engine/backend/plan.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/model/observable.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ergo {

/// One attention of a model, for pickers and maps.
struct AttentionSite {
    std::string stage; ///< "layers.0", "lm_head"
    std::string site;  ///< "metric_attention"; empty for families with one attention a layer
    std::int32_t heads = 0;
    std::int32_t path = -1; ///< index of the routed path it is, -1: always taken
    bool has_ball = false;
    std::string label;                                   ///< "layer 0 · MetricMH", for people
    std::string name(const std::string& quantity) const; ///< observable name
};

/// One routed place: block routers, HyperFFN branches.
struct RouterSite {
    std::string stage;
    std::string shares;             ///< observable with the shares, e.g. "layers.0.router.shares"
    std::vector<std::string> paths; ///< names of the paths, in order
    std::string label;
};

/// One place where a token chooses among depths: the input of an attention, of an MLP, or of the output head
/// is a mixture of what earlier blocks of layers left. Source s is block s of ModelInfo::depth_blocks; the
/// last source is the running sum of the block that is still open.
struct DepthSite {
    std::string stage;   ///< "layers.3", "final"
    std::string weights; ///< observable with the weights [n, sources]: "layers.3.attn_res.depth"
    std::int32_t sources = 0;
    std::int32_t layer = -1; ///< -1: in front of the output head
    bool attention = false;  ///< in front of that layer's attention, else of its MLP
    std::string label;       ///< "layer 3 · attention"
};

/// A depth source: the sum of what layers [first, last] added, and of the embedding where it has one.
struct DepthBlock {
    std::int32_t first = -1, last = -1; ///< -1: no layers, the embedding alone
    bool embedding = false;
    std::string label; ///< "embedding", "layers 3–6"
};

struct ModelInfo {
    std::string family;  ///< "moa"
    std::string variant; ///< schema or preset: "moa-2026"
    std::string why;     ///< one sentence: how it was recognised
    std::string name;    ///< folder or demo name, for titles
    std::int64_t parameters = 0;
    std::vector<std::pair<std::string, std::int64_t>> components; ///< parameters by component, in order
    std::int64_t layers = 0, heads = 0, width = 0, vocabulary = 0, context = 0;
    std::string dtype;                 ///< "bf16", or "bf16, f32" when mixed
    std::vector<std::string> problems; ///< warnings that did not prevent opening
    bool base_model = false; ///< trained on plain text: ChatML markers in its vocabulary mean nothing
    std::map<std::string, std::string> settings; ///< config and semantic knobs, for display
    std::vector<AttentionSite> attentions;
    std::vector<RouterSite> routers;
    std::vector<DepthSite> depths;        ///< in the order they run; empty without depth routing
    std::vector<DepthBlock> depth_blocks; ///< the sources there are at the end
};

/// A caller's wish for one observable.
struct Subscription {
    std::int32_t observable = 0;     ///< index into Model::observables()
    std::vector<std::int32_t> heads; ///< pair maps: which heads, empty: all
    bool operator==(const Subscription&) const = default;
};

struct PlanRequest {
    std::int64_t max_rows = 1;
    bool all_logits = false; ///< logits of every row, else of the last
    std::vector<Subscription> subscriptions;
};

/// A plan with the way from its buffers to the observables asked for.
struct ModelPlan {
    std::shared_ptr<const Plan> plan;
    /// What a reader does to the buffer's numbers to get the observable (engine/model/readout.h).
    enum class Finish : std::uint8_t { none, softmax, kept, distance, angle, norm, two_sigmoid, rest };
    struct Output {
        Subscription wanted;
        BufferId primary;      ///< values, or logits or scores of a pair map
        BufferId maximum, sum; ///< of a pair map's rows [n, all heads], for softmax
        Finish finish = Finish::none;
        std::vector<std::int32_t>
            buffer_heads;         ///< heads of a pair map's primary buffer, in order; empty: all
        std::int64_t width = 0;   ///< columns of a row-wise primary buffer
        bool heads_first = false; ///< row-wise buffer [n, heads] of an observable {heads, n}
        Guard taken;              ///< rows that skipped this path have no value: NaN. None: every row has one
    };
    std::vector<Output> outputs; ///< only observables that come from buffers
};

class Model {
  public:
    virtual ~Model() = default;
    virtual const ModelInfo& info() const = 0;
    virtual const std::vector<Observable>& observables() const = 0;
    virtual std::shared_ptr<const Tables> tables() const = 0;
    virtual ModelPlan build(const PlanRequest& request) const = 0;

    /// Observables that are a function of position alone (rotary phase, gain) or constant (stored gates):
    /// values of rows [begin, end), row-major. Throws Error(usage) for any other observable.
    virtual std::vector<float> positional(const Observable& observable, std::int64_t begin,
                                          std::int64_t end) const = 0;

    /// The parameter behind an observable of source `param`; none for others.
    virtual ParamId param_of(const Observable& observable) const = 0;

    /// Observables of source `state` (ball distances, triangle violations), from the first `length`
    /// positions.
    virtual std::vector<float> derive(const Observable& observable, std::int64_t length,
                                      const std::function<std::vector<float>(StateId)>& state,
                                      const std::function<std::vector<float>(ParamId)>& param) const = 0;

    /// Largest number of positions a session may have (tables, schema).
    virtual std::int64_t max_positions() const = 0;
};

struct OpenOptions {
    bool allow_unused = false;                ///< accept tensors that no role claims
    std::map<std::string, std::string> knobs; ///< semantic knobs, name to JSON value; win over semantics.json
    std::int64_t context = 0;                 ///< positions to prepare tables for; 0: the model's own
    std::string schemas;                      ///< folder of further schemas; empty: the user's own (schema.h)
    std::string dtype; ///< of the weight matrices (engine/model/weight_types.h); empty: as stored
    std::string cache; ///< what keys and values are kept in (engine/model/cache_types.h); empty: f32
    std::vector<std::string> interventions; ///< "NAME=VALUE" or "NAME*=VALUE" (engine/model/intervention.h)
};

/// Recognises the family and opens the model. Throws Error(mismatch) with the whole report when it does not
/// fit.
std::shared_ptr<const Model> open_model(std::shared_ptr<const Checkpoint> checkpoint,
                                        const OpenOptions& options);

} // namespace ergo
