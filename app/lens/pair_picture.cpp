// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/pair_picture.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ergosphere {

namespace {

constexpr int thumbnail_side = 64;
constexpr float nothing = std::numeric_limits<float>::quiet_NaN();

} // namespace

qint64 PairSource::rows(const LensData& data) const {
    return heads.isEmpty() ? 0 : data.pairRows(observable, heads.first());
}

quint64 PairSource::stamp(const LensData& data, qint64 query) const {
    quint64 newest = 0;
    for (const int head : heads) {
        const quint64 own = data.pairStamp(observable, head, query);
        if (own == 0) {
            return 0;
        }
        newest = std::max(newest, own);
    }
    return newest;
}

void mean_row(const std::vector<std::span<const float>>& heads, WeightScale scale,
              std::vector<float>& values) {
    values.assign(heads.front().begin(), heads.front().end());
    if (heads.size() == 1) {
        rescale(scale, values);
        return;
    }
    const bool relative = scale != WeightScale::weight;
    std::vector<float> more;
    if (relative) {
        rescale(WeightScale::ratio, values);
    }
    for (std::size_t i = 1; i < heads.size(); ++i) {
        std::span<const float> next = heads[i];
        if (relative) {
            more.assign(next.begin(), next.end());
            rescale(WeightScale::ratio, more);
            next = more;
        }
        for (std::size_t k = 0; k < values.size(); ++k) {
            values[k] += next[k];
        }
    }
    const float share = 1.0F / static_cast<float>(heads.size());
    for (float& value : values) {
        value *= share;
        if (scale == WeightScale::log_ratio) {
            value = value > 0 ? std::log2(value) : nothing;
        }
    }
}

bool PairSource::row(const LensData& data, qint64 query, std::vector<float>& values) const {
    if (stamp(data, query) == 0) {
        return false;
    }
    std::vector<std::span<const float>> rows;
    rows.reserve(static_cast<std::size_t>(heads.size()));
    for (const int head : heads) {
        rows.push_back(data.pairRow(observable, head, query));
    }
    mean_row(rows, scale, values);
    return true;
}

bool PairImage::update(const LensData& data, const PairSource& source, const Coloring& coloring,
                       const Deadline& deadline) {
    if (!(source == source_) || !(coloring == coloring_)) {
        source_ = source;
        coloring_ = coloring;
        std::fill(stamps_.begin(), stamps_.end(), 0);
    }
    const auto rows = static_cast<int>(source.rows(data));
    if (rows > image_.width()) {
        int side = std::max(64, image_.width());
        while (side < rows) {
            side *= 2;
        }
        QImage larger(side, side, QImage::Format_ARGB32_Premultiplied);
        larger.fill(Qt::transparent);
        for (int line = 0; line < std::min(this->rows(), rows); ++line) {
            std::copy_n(image_.constScanLine(line), 4 * (line + 1), larger.scanLine(line));
        }
        image_ = larger;
    }
    stamps_.resize(static_cast<std::size_t>(rows), 0);
    for (int query = 0; query < rows; ++query) {
        quint64& known = stamps_[static_cast<std::size_t>(query)];
        const quint64 stamp = source.stamp(data, query);
        if (stamp != 0 && stamp == known) {
            continue;
        }
        auto* line = reinterpret_cast<QRgb*>(image_.scanLine(query));
        if (source.row(data, query, scratch_)) {
            for (std::size_t key = 0; key < scratch_.size(); ++key) {
                line[key] = std::isnan(scratch_[key])
                                ? 0
                                : coloring.map->color(scratch_[key], coloring.black, coloring.white);
            }
        } else {
            std::fill_n(line, query + 1, 0);
        }
        known = stamp;
        if (query % 16 == 15 && deadline.passed()) {
            return false;
        }
    }
    return true;
}

bool PairThumbnail::update(const LensData& data, const PairSource& source, const Coloring& coloring,
                           const Deadline& deadline) {
    const auto rows = static_cast<int>(source.rows(data));
    int block = 1;
    while (block * thumbnail_side < rows) {
        block *= 2;
    }
    if (!(source == source_) || block != block_) {
        source_ = source;
        block_ = block;
        stamps_.assign(thumbnail_side, 0);
        largest_.assign(thumbnail_side * thumbnail_side, nothing);
    }
    side_ = (rows + block - 1) / block;
    const bool recolor = !(coloring == coloring_) || image_.isNull();
    coloring_ = coloring;
    if (image_.isNull()) {
        image_ = QImage(thumbnail_side, thumbnail_side, QImage::Format_ARGB32_Premultiplied);
    }
    bool complete = true;
    for (int line = 0; line < thumbnail_side; ++line) {
        quint64 sum = 0;
        const int end = std::min(rows, (line + 1) * block);
        for (int query = line * block; query < end; ++query) {
            sum += source.stamp(data, query) + 1;
        }
        quint64& known = stamps_[static_cast<std::size_t>(line)];
        float* values = &largest_[static_cast<std::size_t>(line) * thumbnail_side];
        const bool changed = sum != known && complete;
        if (changed) {
            std::fill_n(values, thumbnail_side, nothing);
            for (int query = line * block; query < end; ++query) {
                if (source.row(data, query, scratch_)) {
                    for (std::size_t key = 0; key < scratch_.size(); ++key) {
                        float& most = values[key / static_cast<std::size_t>(block)];
                        most = most > scratch_[key] ? most : scratch_[key]; // also takes the place of NaN
                    }
                }
            }
            known = sum;
            complete = !deadline.passed();
        }
        if (changed || recolor) {
            auto* pixels = reinterpret_cast<QRgb*>(image_.scanLine(line));
            for (int i = 0; i < thumbnail_side; ++i) {
                pixels[i] = std::isnan(values[i])
                                ? 0
                                : coloring.map->color(values[i], coloring.black, coloring.white);
            }
        }
    }
    return complete;
}

std::vector<float> sample(const LensData& data, const PairSource& source, std::size_t most) {
    std::vector<float> out, row;
    const auto rows = static_cast<std::size_t>(source.rows(data));
    const std::size_t all = rows * (rows + 1) / 2;
    const auto step =
        static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(all) / static_cast<double>(most))));
    // Every step-th row from the last on, so that the row being written is always among them.
    for (std::size_t back = 0; back < rows; back += std::max<std::size_t>(1, step)) {
        if (!source.row(data, static_cast<qint64>(rows - 1 - back), row)) {
            continue;
        }
        for (std::size_t key = back % std::max<std::size_t>(1, step); key < row.size();
             key += std::max<std::size_t>(1, step)) {
            if (std::isfinite(row[key])) {
                out.push_back(row[key]);
            }
        }
    }
    return out;
}

} // namespace ergosphere
