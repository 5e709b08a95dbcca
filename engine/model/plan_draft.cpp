// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/plan_draft.h"

#include "engine/base/error.h"
#include "engine/model/row_quantities.h"

namespace ergo {

PlanDraft::PlanDraft(const std::vector<Observable>& observables, const PlanRequest& request)
    : observables_(observables), request_(request), outputs_(request.subscriptions.size()) {
    if (request.max_rows < 1) {
        throw Error(ErrorKind::usage,
                    "a plan needs at least one row, not " + std::to_string(request.max_rows));
    }
    plan_.max_rows = request.max_rows;
    for (std::size_t i = 0; i < request.subscriptions.size(); ++i) {
        const Subscription& wish = request.subscriptions[i];
        if (wish.observable < 0 || static_cast<std::size_t>(wish.observable) >= observables.size()) {
            throw Error(ErrorKind::usage, "there is no observable number " + std::to_string(wish.observable));
        }
        const Observable& observable = observables[static_cast<std::size_t>(wish.observable)];
        for (const std::int32_t head : wish.heads) {
            if (observable.source == ObservableSource::pair_row &&
                (head < 0 || head >= observable.shape[0])) {
                throw Error(ErrorKind::usage, observable.name + " has " +
                                                  std::to_string(observable.shape[0]) +
                                                  " heads; there is no head " + std::to_string(head));
            }
        }
        wishes_[observable.name].push_back(i);
    }
}

BufferId PlanDraft::scratch(const std::string& name, std::int64_t width) {
    const auto [found, added] = pool_.try_emplace({name, width});
    if (added) {
        found->second = plan_.add_buffer(name, width);
    }
    return found->second;
}

BufferId PlanDraft::fresh(const std::string& name, std::int64_t width, BufferInfo::Extent extent) {
    return plan_.add_buffer(name, width, extent);
}

void PlanDraft::set_logits(BufferId logits) {
    plan_.logits = logits;
    if (!request_.all_logits) {
        plan_.add_logit_parts();
    }
}

void PlanDraft::give(const std::string& observable, ModelPlan::Output output) {
    const auto wish = wishes_.find(observable);
    if (wish == wishes_.end()) {
        return;
    }
    output.width = plan_.buffers[static_cast<std::size_t>(output.primary.index)].width;
    for (const std::size_t i : wish->second) {
        output.wanted = request_.subscriptions[i];
        outputs_[i] = output;
        for (const BufferId buffer : {output.primary, output.maximum, output.sum}) {
            if (buffer) {
                plan_.taps.push_back({output.wanted.observable, buffer});
            }
        }
    }
}

void PlanDraft::give(const std::string& observable, BufferId rows, Finish finish) {
    ModelPlan::Output output;
    output.primary = rows;
    output.finish = finish;
    give(observable, output);
}

/// The heads all readers of pairs agree on; empty (all heads) where they do not.
std::vector<std::int32_t> PlanDraft::heads_wanted(const std::string& place) const {
    std::optional<std::vector<std::int32_t>> heads;
    for (const char* quantity : {"attention", "distance"}) {
        const auto found = wishes_.find(place + quantity);
        if (found == wishes_.end()) {
            continue;
        }
        for (const std::size_t i : found->second) {
            const auto& wished = request_.subscriptions[i].heads;
            if (heads && *heads != wished) {
                return {};
            }
            heads = wished;
        }
    }
    return heads.value_or(std::vector<std::int32_t>{});
}

RowRequest PlanDraft::attention_rows(const std::string& place, std::int64_t heads, Finish finish) {
    RowRequest rows;
    rows.heads = heads_wanted(place);
    const std::int64_t shown = rows.heads.empty() ? heads : static_cast<std::int64_t>(rows.heads.size());
    ModelPlan::Output output;
    output.buffer_heads = rows.heads;
    if (wants(place + "attention")) {
        output.primary = rows.logits = fresh(place + "logits", shown, BufferInfo::Extent::rows_keys);
        output.maximum = rows.maximum = fresh(place + "maximum", heads);
        output.sum = rows.sum = fresh(place + "sum", heads);
        output.finish = Finish::softmax;
        give(place + "attention", output);
        output.maximum = output.sum = {};
    }
    if (wants(place + "distance")) {
        output.primary = rows.scores = fresh(place + "scores", shown, BufferInfo::Extent::rows_keys);
        output.finish = finish;
        give(place + "distance", output);
    }
    const auto wanted = [this](const std::string& name) { return wants(name); };
    const auto made = [this](const std::string& name, std::int64_t width) { return fresh(name, width); };
    for (const RowOutput& row : request_row_quantities(place, heads, wanted, made, rows)) {
        give(row.observable, row.buffer, row.finish);
    }
    return rows;
}

ModelPlan PlanDraft::finish(const Tables& tables) {
    ModelPlan out;
    for (auto& output : outputs_) {
        if (output) {
            out.outputs.push_back(std::move(*output));
        }
    }
    validate(plan_, tables);
    out.plan = std::make_shared<const Plan>(std::move(plan_));
    plan_ = {};
    return out;
}

} // namespace ergo
