# SPDX-License-Identifier: GPL-3.0-or-later
"""What a family adds to the common training loop and to its release: model, configuration, penalties,
measurements, and what happens around an update."""
import torch

import gravity_torch
import kotodama_torch
import moa_torch


class Family:
    """A decoder that needs nothing special."""
    def __init__(self, model, config):
        self.model, self.config = model, config

    def begin(self, model, tokens, lengths):
        """Before the first step, with a batch."""

    def loss(self, ce, aux, a):
        """ce: mean cross entropy of the replies."""
        return ce

    def measurements(self, aux):
        """Tensors to be summed over test batches and processes."""
        return [torch.stack(aux.measured)]

    def describe(self, count, sums):
        """count: tokens. One phrase for the log."""
        return ""

    def report(self, model, count, sums):
        """The same at length, for the card; yields lines."""
        return ()

    def before_step(self, model, step, a):
        pass

    def before_update(self, model, step, a, world):
        """Gradients are there and averaged."""

    def after_update(self, model):
        pass

    def stored(self, model):
        """All tensors as released: matrices in bf16, what `single` names in float32."""
        return {name: (value.float() if self.single(name) else value.bfloat16()).contiguous()
                for name, value in model.state_dict().items()}

    def single(self, name):
        return False

    def side_files(self, model):
        """Released beside the weights: file name -> object for torch.save."""
        return {}


class Moa(Family):
    def begin(self, model, tokens, lengths):
        for x in model.attentions():
            x.calibrate = True
        with torch.no_grad():
            model(tokens, lengths)

    def loss(self, ce, aux, a):
        return ce + a.balance * sum(aux.balance) + a.ball * sum(aux.ball)

    def measurements(self, aux):
        count = aux.valid.sum()
        return [torch.stack(aux.shares) * count, torch.stack(aux.branches) * count] + aux.pruned

    def describe(self, count, sums):
        shares = sums[0] / sums[0].sum(1, keepdim=True)
        heads = torch.cat([p[0] / p[1] for p in sums[2:]])
        used = ((heads > 0.1) & (heads < 0.9)).float().mean()
        return "share %s  least %.2f most %.2f  pruned mean %.2f in range %.2f" % (
            " ".join("%.2f" % x for x in shares.mean(0)), shares.min(), shares.max(), heads.mean(), used)

    def report(self, model, count, sums):
        mixtures = len(model.model.layers) + 1
        names = ["layer %d" % i for i in range(mixtures - 1)] + ["LM head"]
        shares = sums[0] / count
        yield "path shares, %d tokens   %s" % (count, "  ".join("%16s" % p for p in moa_torch.PATHS))
        for name, row in list(zip(names, shares)) + [("mean", shares.mean(0))]:
            yield "  %-22s %s" % (name, "  ".join("%15.1f%%" % (100 * x) for x in row))
        yield "HyperFFN branches         " + "  ".join("%.1f%%" % (100 * x) for x in (sums[1] / count)[0])
        yield "pruned causal pairs, % (a MetricMQA ball belongs to all query heads of its layer)"
        within = total = 0
        for i, (p, attention) in enumerate(zip(sums[2:], model.attentions())):
            fraction = 100 * p[0] / p[1]
            heads = attention.heads if attention.shared else 1
            within += heads * int(((fraction > 10) & (fraction < 90)).sum())
            total += heads * len(fraction)
            yield "  %-8s %-17s %s" % (names[i // 2], moa_torch.PATHS[3 if attention.shared else 1], "  ".join("%4.1f" % x for x in fraction))
        yield "heads that prune between 10 and 90 %%: %d of %d" % (within, total)

    def follows(self, step, a):
        """While the rate is at its peak the keys move faster than any radius could be learnt.  Every few
        steps the radii are put back on the quantile of the distances (of the next batch)."""
        return step % a.follow == 0 and step < a.steps * (1 - a.decay)

    def before_step(self, model, step, a):
        if self.follows(step, a):
            for x in model.attentions():
                x.calibrate = True

    @torch.no_grad()
    def before_update(self, model, step, a, world):
        if self.follows(step, a):
            for x in model.attentions():
                torch.distributed.all_reduce(x.radius)
                x.radius /= world

    @torch.no_grad()
    def after_update(self, model):
        """Sharpness and metric stay positive."""
        for x in model.attentions():
            x.alpha.clamp_(min=0.05)
            x.metric_diag.clamp_(min=0.01)

    def single(self, name):                   # few and delicate
        return name.rsplit(".", 1)[-1] in ("alpha", "metric_diag", "origin", "radius") or ".rope_" in name

    @torch.no_grad()
    def stored(self, model):
        """With the rotary tables, from the coefficients."""
        out = super().stored(model)
        positions = torch.arange(model.config["max_seq_len_cached"])
        mixtures = [("model.layers.%d." % i, m) for i, m in enumerate(model.model.layers)] + [("lm_head.", model.lm_head)]
        for prefix, m in mixtures:
            for site in ("rope_global", "rope_mqa"):
                for table, value in zip(("cos", "sin", "gain"), getattr(m, site)(positions, torch.float32)):
                    out["%s%s.%s_cached" % (prefix, site, table)] = value.contiguous()
        return out


class Kotodama(Family):
    def describe(self, count, sums):
        """Mean weight of the open sum's most read finished block, over the sites that have one."""
        depth = sums[0] / count
        return "embedding %.2f  most even site %.2f" % (depth[1:, 0].mean(), depth[1:].amax(1).min())

    def report(self, model, count, sums):
        layers = len(model.layers)
        names = ["layer %d %s" % (i // 2, "MLP" if i % 2 else "attention") for i in range(2 * layers)] + ["final"]
        yield "mean weight of each source, %%, over %d tokens (embedding first, the open sum last)" % count
        for i, (name, row) in enumerate(zip(names, sums[0] / count)):
            finished = sum(b < (i + 1) // 2 + (i == 2 * layers) for b in model.config["attn_res_boundaries"])
            yield "  %-18s %s" % (name, "  ".join("%5.1f" % (100 * x) for x in row[:finished + 1]))


class Gravity(Family):
    def describe(self, count, sums):
        """How many times more than uniform the most read key of a row gets, by layer (mean over heads, tokens)."""
        return "peak over uniform %s" % " ".join("%.1f" % x for x in (sums[0] / count).mean(1))

    def report(self, model, count, sums):
        yield "by layer and head: mass M, and the weight of a row's most read key over uniform (mean over %d tokens)" % count
        for i, (layer, peak) in enumerate(zip(model.model.layers, sums[0] / count)):
            mass = torch.nn.functional.softplus(layer.self_attn.gravity_mass_log)
            yield "  layer %d   %s" % (i, "   ".join("%.2f: %5.1f" % x for x in zip(mass, peak)))

    def stored(self, model):
        return {k: v for k, v in super().stored(model).items() if not k.endswith("gravity_mass_log")}

    def side_files(self, model):
        return {"gravity_mass_log.pt": {k: v.clone() for k, v in model.state_dict().items() if k.endswith("gravity_mass_log")}}


FAMILIES = {
    "moa": Moa(moa_torch.MoaModel, moa_torch.config),
    "kotodama": Kotodama(kotodama_torch.KotodamaModel, kotodama_torch.config),
    "gravity": Gravity(gravity_torch.GravityModel, gravity_torch.config),
}


def name_of(config):
    """By the released configuration."""
    return {"moa_metric": "moa", "kotodama": "kotodama", "qwen2": "gravity"}[config["model_type"]]


def family_of(config):
    return FAMILIES[name_of(config)]
