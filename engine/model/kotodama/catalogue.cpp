// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/kotodama/catalogue.h"

#include "engine/model/row_quantities.h"

namespace ergo::kotodama {

namespace {

using Source = ObservableSource;

class CatalogueBuilder {
  public:
    explicit CatalogueBuilder(const Layout& layout) : layout_(layout) {}

    Catalogue build() {
        const Config& c = layout_.config;
        const std::int64_t heads = c.num_attention_heads;
        for (const LayerPart& layer : layout_.layers) {
            route(layer.stage, "attn_res", layer.attention_route);
            add(layer.stage, "", "attention", Source::pair_row, {heads, -1, -1}, "weight");
            for (const RowQuantity& q : row_quantities()) {
                add(layer.stage, "", q.name, Source::buffer, q.shape(heads), q.unit).by_default = false;
            }
            param(layer.stage, "", "keep", layer.mask);
            route(layer.stage, "mlp_res", layer.mlp_route);
            add(layer.stage, "", "hidden", Source::buffer, {-1, c.hidden_size}, "");
            add(layer.stage, "", "norm", Source::buffer, {-1}, "");
        }
        route("final", "res", layout_.final_route);
        return std::move(out_);
    }

  private:
    Observable& add(const std::string& stage, const std::string& site, const std::string& quantity,
                    Source source, Shape shape, const std::string& unit) {
        Observable o;
        o.name = stage + "." + (site.empty() ? "" : site + ".") + quantity;
        o.stage = stage;
        o.site = site;
        o.quantity = quantity;
        o.source = source;
        o.shape = std::move(shape);
        o.unit = unit;
        out_.observables.push_back(std::move(o));
        return out_.observables.back();
    }

    void param(const std::string& stage, const std::string& site, const std::string& quantity, ParamId id) {
        const Shape& shape = layout_.tables->params[static_cast<std::size_t>(id.index)].shape;
        Observable& made = add(stage, site, quantity, Source::param, shape, "");
        made.by_default = false;
        out_.params[made.name] = id;
    }

    void route(const std::string& stage, const std::string& site, const RoutePart& part) {
        add(stage, site, "depth", Source::buffer, {-1, part.sources}, "weight");
        // The state that geometric monitoring calls a layer's: what the sub-block reads, before its norm.
        add(stage, site, "mixture", Source::buffer, {-1, layout_.config.hidden_size}, "").by_default = false;
        param(stage, site, "temperature", part.temperature);
        param(stage, site, "keep", part.mask);
    }

    const Layout& layout_;
    Catalogue out_;
};

} // namespace

Catalogue make_catalogue(const Layout& layout) {
    return CatalogueBuilder(layout).build();
}

} // namespace ergo::kotodama
