// SPDX-License-Identifier: GPL-3.0-or-later
// From a layout to a plan: the ops of one step of a MoA model, with the buffers that subscriptions ask for.
// One builder builds one plan, on one thread. Source: MoA specification §6.2–6.8.
#pragma once

#include "engine/model/moa/catalogue.h"
#include "engine/model/moa/layout.h"
#include "engine/model/model.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ergo::moa {

class PlanBuilder {
  public:
    PlanBuilder(const Layout& layout, const Catalogue& catalogue, const PlanRequest& request);

    /// Throws Error(usage) for a subscription that names no observable or a head that is not there.
    ModelPlan build();

  private:
    /// What readers want of the pairs of one attention.
    struct PairWish {
        std::vector<std::int32_t> heads; ///< empty: all
        bool weights = false, kept = false, scores = false;
        bool any() const { return weights || kept || scores; }
    };
    using Finish = ModelPlan::Finish;

    /// While it lives, scratch has all rows (or, with `all` false, what it had before): what feeds a state or
    /// a reader is computed for every row, also where only the last row's result is wanted.
    class AllRows {
      public:
        explicit AllRows(PlanBuilder& builder, bool all = true) : builder_(builder), before_(builder.tail_) {
            builder.tail_ = before_ && !all;
        }
        ~AllRows() { builder_.tail_ = before_; }
        AllRows(const AllRows&) = delete;
        AllRows& operator=(const AllRows&) = delete;

      private:
        PlanBuilder& builder_;
        bool before_;
    };

    // buffers (plan_builder.cpp)
    /// Shared by name and width; in the tail [1, width] of the last row.
    BufferId scratch(const std::string& name, std::int64_t width);
    BufferId fresh(const std::string& name, std::int64_t width,
                   BufferInfo::Extent extent = BufferInfo::Extent::rows);
    /// A buffer of its own when `observable` is wanted, else shared scratch.
    BufferId buffer_for(const std::string& observable, const std::string& name, std::int64_t width);
    bool wants(const std::string& observable) const { return wishes_.contains(observable); }
    void give(const std::string& observable, ModelPlan::Output output);
    void give_row(const std::string& observable, BufferId buffer, Finish finish = Finish::none);

    // stages (plan_builder.cpp)
    void embed();
    void layers();
    void head();
    void mixture_into(const MixturePart& m, BufferId x, BufferId residual, BufferId out);
    BufferId stage_buffer(const std::string& stage);
    void give_stage(const std::string& stage, BufferId hidden);

    // parts (plan_parts.cpp)
    template <class Body> void add(const std::string& name, const Guard& guard, Body body);
    BufferId norm(const std::string& name, const NormPart& part, BufferId in, const std::string& out);
    void linear(const std::string& name, const LinearPart& part, BufferId in, BufferId out,
                const Guard& guard = {}, const std::string& activation = "identity");
    BufferId linear(const std::string& name, const LinearPart& part, BufferId in, const std::string& out,
                    const Guard& guard = {}, const std::string& activation = "identity");
    BufferId gate(const std::string& name, BufferId a, BufferId b, std::int64_t width, const std::string& out,
                  const std::string& activation, const Guard& guard);
    BufferId net(const std::string& name, const NetPart& part, BufferId in, const std::string& hidden,
                 const std::string& out);
    BufferId swiglu(const std::string& name, const LinearPart& gate_part, const LinearPart& up,
                    const LinearPart& down, BufferId in, const std::string& out, const Guard& guard);
    BufferId route(const MixturePart& m, BufferId n);
    BufferId local_conv(const MixturePart& m, BufferId n, const Guard& guard);
    BufferId channel_mix(const MixturePart& m, BufferId n, const Guard& guard);
    BufferId attention(const MixturePart& m, const AttentionPart& a, BufferId n, const Guard& guard);
    void append_keys(const AttentionPart& a, BufferId n);
    /// `taken`: which tokens run the attention at all.
    RowRequest rows_of(const std::string& site, const AttentionPart& a, const PairWish& wish,
                       const Guard& taken);
    BufferId updown(const AttentionPart& a, BufferId heads, const Guard& guard);
    void kept_share(const std::string& site, const AttentionPart& a);
    BufferId feature_gate(const MixturePart& m, BufferId n);
    void hyper(const HyperPart& h, BufferId x, BufferId out);
    BufferId hyper_conv(const HyperPart& h, BufferId n, const Guard& guard);
    BufferId low_rank(const HyperPart& h, BufferId n, const Guard& guard);
    PairWish pair_wish(const std::string& site) const;
    bool wants_rows(const std::string& site) const;

    const Layout& layout_;
    const Catalogue& catalogue_;
    const PlanRequest& request_;
    Plan plan_;
    std::map<std::pair<std::string, std::int64_t>, BufferId> pool_;
    std::map<std::string, std::vector<std::size_t>> wishes_; ///< observable name to subscriptions
    std::vector<std::optional<ModelPlan::Output>> outputs_;  ///< one a subscription
    BufferId x_;
    bool x_kept_ = false; ///< a reader wants x_ as it is
    bool tail_ = false;   ///< behind the last layer, where only the step's last row is wanted
};

} // namespace ergo::moa
