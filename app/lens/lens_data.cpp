// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/lens_data.h"

#include "engine/model/lens_set.h"

#include <QCoreApplication>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

namespace ergosphere {

namespace {

constexpr int frame_ms = 34;                                  // at most 30 changes a second
constexpr std::size_t memory_budget = std::size_t{512} << 20; // of pair maps nobody looks at any more

qint64 now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

} // namespace

LensData::LensData(QObject* parent) : QObject(parent) {
    timer_.setSingleShot(true);
    timer_.setTimerType(Qt::PreciseTimer);
    connect(&timer_, &QTimer::timeout, this, [this] {
        last_ms_ = now_ms();
        emit changed();
    });
}

LensData::~LensData() = default;

void LensData::schedule() {
    if (!timer_.isActive()) {
        timer_.start(
            static_cast<int>(std::clamp(last_ms_ + frame_ms - now_ms(), qint64{0}, qint64{frame_ms})));
    }
}

void LensData::touch(int observable) {
    if (observable >= 0 && observable < static_cast<int>(versions_.size())) {
        versions_[static_cast<std::size_t>(observable)] = ++clock_;
    }
    schedule();
}

void LensData::setModel(std::shared_ptr<const ergo::OpenedModel> opened) {
    ergo::ModelInfo info;
    std::vector<ergo::Observable> observables;
    if (opened && opened->model) {
        info = opened->model->info();
        observables = opened->model->observables();
    }
    const bool has = opened && opened->model;
    opened_ = std::move(opened);
    setSynthetic(std::move(info), std::move(observables), {});
    has_info_ = has;
    if (has) {
        readParameters({});
        if (opened_->backend) {
            setMeasuredOn(QString::fromStdString(opened_->backend->info().name), 0, precisionOf(*opened_));
        }
    }
    emit modelChanged();
}

void LensData::setSynthetic(ergo::ModelInfo info, std::vector<ergo::Observable> observables,
                            std::map<std::string, std::vector<float>> parameters) {
    clear();
    info_ = std::move(info);
    has_info_ = true;
    observables_ = std::move(observables);
    index_.clear();
    parameters_.clear();
    recent_.clear();
    session_ = 0;
    measured_on_.clear();
    changes_.clear();
    for (std::size_t i = 0; i < observables_.size(); ++i) {
        index_[observables_[i].name] = static_cast<int>(i);
        const auto found = parameters.find(observables_[i].name);
        if (found != parameters.end()) {
            parameters_[static_cast<int>(i)] = std::move(found->second);
        }
    }
    versions_.assign(observables_.size(), ++clock_);
    if (!opened_) {
        emit modelChanged();
    }
    schedule();
}

void LensData::setChanges(const QStringList& changes, const std::vector<std::vector<float>>& values) {
    changes_ = changes;
    if (opened_) {
        readParameters(values);
        for (quint64& version : versions_) {
            version = ++clock_;
        }
    }
    schedule();
}

void LensData::readParameters(const std::vector<std::vector<float>>& changed) {
    const std::shared_ptr<const ergo::Tables> tables = opened_->model->tables();
    for (std::size_t i = 0; i < observables_.size(); ++i) {
        if (observables_[i].source != ergo::ObservableSource::param) {
            continue;
        }
        const ergo::ParamId id = opened_->model->param_of(observables_[i]);
        if (id.index >= 0 && id.index < static_cast<std::int32_t>(tables->params.size())) {
            const auto at = static_cast<std::size_t>(id.index);
            parameters_[static_cast<int>(i)] = at < changed.size() ? changed[at] : tables->params[at].values;
        }
    }
}

QString LensData::precisionOf(const ergo::OpenedModel& opened) {
    const ergo::Roundings rounded = ergo::roundings_of(opened);
    QStringList parts{"f32"};
    if (!rounded.weights.empty()) {
        parts << tr("weights rounded to %1").arg(QString::fromStdString(rounded.weights));
    }
    if (!rounded.cache.empty()) {
        parts << tr("keys and values rounded to %1").arg(QString::fromStdString(rounded.cache));
    }
    return parts.join(QStringLiteral(", "));
}

void LensData::setMeasuredOn(const QString& device, int threads, const QString& precision) {
    QStringList parts{device};
    if (threads > 0 && !device.contains(QStringLiteral("thread"))) {
        parts.append(threads == 1 ? tr("1 thread") : tr("%1 threads").arg(threads));
    }
    parts.append(precision);
    measured_on_ = parts.join(QStringLiteral(" · "));
    schedule();
}

void LensData::setTokens(QStringList texts) {
    tokens_ = std::move(texts);
    schedule();
}

void LensData::appendToken(const QString& text) {
    tokens_.append(text);
    schedule();
}

void LensData::clear() {
    tokens_.clear();
    dropRows(0);
}

void LensData::truncate(qint64 length) {
    length = std::max(qint64{0}, length);
    if (length < tokens_.size()) {
        tokens_.erase(tokens_.begin() + length, tokens_.end());
    }
    dropRows(length);
}

void LensData::dropRows(qint64 from) {
    const auto keep = static_cast<std::size_t>(from);
    for (auto& [key, map] : pairs_) {
        if (map.size() > keep) {
            map.resize(keep);
            touch(key.first);
        }
    }
    for (auto& [key, strip] : strips_) {
        if (strip.origins.size() > keep) {
            strip.origins.resize(keep);
            strip.values.resize(keep * static_cast<std::size_t>(strip.width));
            touch(key);
        }
    }
    schedule();
}

void LensData::add(ergo::Frame&& frame) {
    if (frame.session < session_ || frame.position < 0 || frame.rows <= 0) {
        return; // of a log that is no more
    }
    if (frame.session > session_) {
        session_ = frame.session;
        dropRows(0); // another log
    } else if (!frame.recomputed) {
        dropRows(frame.position); // the log now ends with these rows: what was beyond belonged to another
                                  // continuation
    }
    for (const ergo::Capture& capture : frame.captures) {
        if (capture.observable < 0 || capture.observable >= static_cast<std::int32_t>(observables_.size())) {
            continue;
        }
        const ergo::Observable& what = observables_[static_cast<std::size_t>(capture.observable)];
        if (what.source == ergo::ObservableSource::pair_row) {
            addPairs(frame, capture);
        } else {
            addStrip(frame, capture);
        }
        touch(capture.observable);
    }
}

void LensData::addPairs(const ergo::Frame& frame, const ergo::Capture& capture) {
    if (capture.shape.size() != 3 || capture.shape[1] != frame.rows ||
        capture.values.size() != static_cast<std::size_t>(ergo::element_count(capture.shape))) {
        return;
    }
    const std::int64_t heads = capture.shape[0], rows = capture.shape[1], keys = capture.shape[2];
    if (keys < frame.position + rows) {
        return;
    }
    for (std::int64_t h = 0; h < heads; ++h) {
        const int head =
            capture.heads.empty() ? static_cast<int>(h) : capture.heads[static_cast<std::size_t>(h)];
        PairMap& map = pairs_[{capture.observable, head}];
        map.resize(std::max(map.size(), static_cast<std::size_t>(frame.position + rows)));
        for (std::int64_t r = 0; r < rows; ++r) {
            const qint64 query = frame.position + r;
            PairRow& row = map[static_cast<std::size_t>(query)];
            if (frame.recomputed && row.origin == RowOrigin::run) {
                continue; // the run's own numbers are the better ones
            }
            const auto from = capture.values.begin() + (h * rows + r) * keys;
            row.values = std::make_shared<const std::vector<float>>(from, from + query + 1);
            row.origin = frame.recomputed ? RowOrigin::recomputed : RowOrigin::run;
            row.stamp = ++clock_;
        }
    }
}

void LensData::addStrip(const ergo::Frame& frame, const ergo::Capture& capture) {
    if (capture.shape.empty() || capture.shape[0] != frame.rows ||
        capture.values.size() != static_cast<std::size_t>(ergo::element_count(capture.shape))) {
        return;
    }
    const qint64 width = static_cast<qint64>(capture.values.size()) / frame.rows;
    Strip& strip = strips_[capture.observable];
    if (strip.width != width) {
        strip = Strip{width, {}, {}};
    }
    const auto end = static_cast<std::size_t>(frame.position + frame.rows);
    if (strip.origins.size() < end) {
        strip.origins.resize(end, RowOrigin::absent);
        strip.values.resize(end * static_cast<std::size_t>(width));
    }
    for (std::int64_t r = 0; r < frame.rows; ++r) {
        const auto token = static_cast<std::size_t>(frame.position + r);
        if (frame.recomputed && strip.origins[token] == RowOrigin::run) {
            continue;
        }
        const auto from = capture.values.begin() + r * width;
        std::copy(from, from + width, strip.values.begin() + static_cast<std::ptrdiff_t>(token) * width);
        strip.origins[token] = frame.recomputed ? RowOrigin::recomputed : RowOrigin::run;
    }
}

void LensData::retain(const QVector<ergo::Observe>& wanted) {
    std::set<int> needed;
    for (const ergo::Observe& observe : wanted) {
        const int id = observable(observe.observable);
        if (id >= 0 &&
            observables_[static_cast<std::size_t>(id)].source == ergo::ObservableSource::pair_row) {
            needed.insert(id);
            std::erase(recent_, id);
            recent_.push_back(id);
        }
    }
    for (auto oldest = recent_.begin(); oldest != recent_.end() && bytes() > memory_budget;) {
        if (needed.contains(*oldest)) {
            ++oldest;
            continue;
        }
        std::erase_if(pairs_, [id = *oldest](const auto& entry) { return entry.first.first == id; });
        touch(*oldest);
        oldest = recent_.erase(oldest);
    }
}

const ergo::ModelInfo* LensData::info() const {
    return has_info_ ? &info_ : nullptr;
}

int LensData::observable(const std::string& name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? -1 : found->second;
}

const LensData::PairRow* LensData::findRow(int observable, int head, qint64 query) const {
    const auto found = pairs_.find({observable, head});
    if (found == pairs_.end() || query < 0 || query >= static_cast<qint64>(found->second.size())) {
        return nullptr;
    }
    return &found->second[static_cast<std::size_t>(query)];
}

std::span<const float> LensData::pairRow(int observable, int head, qint64 query) const {
    const PairRow* row = findRow(observable, head, query);
    return row && row->values ? std::span<const float>(*row->values) : std::span<const float>{};
}

qint64 LensData::pairRows(int observable, int head) const {
    const auto found = pairs_.find({observable, head});
    return found == pairs_.end() ? 0 : static_cast<qint64>(found->second.size());
}

LensData::PairRows LensData::pairRowsHeld(int observable, int head) const {
    PairRows rows;
    if (const auto found = pairs_.find({observable, head}); found != pairs_.end()) {
        rows.reserve(found->second.size());
        for (const PairRow& row : found->second) {
            rows.push_back(row.values);
        }
    }
    return rows;
}

RowOrigin LensData::pairOrigin(int observable, int head, qint64 query) const {
    const PairRow* row = findRow(observable, head, query);
    return row ? row->origin : RowOrigin::absent;
}

quint64 LensData::pairStamp(int observable, int head, qint64 query) const {
    const PairRow* row = findRow(observable, head, query);
    return row ? row->stamp : 0;
}

std::span<const float> LensData::strip(int observable, qint64 token) const {
    if (stripOrigin(observable, token) == RowOrigin::absent) {
        return {};
    }
    const Strip& strip = strips_.find(observable)->second;
    const auto width = static_cast<std::size_t>(strip.width);
    return std::span(strip.values).subspan(static_cast<std::size_t>(token) * width, width);
}

qint64 LensData::stripRows(int observable) const {
    const auto found = strips_.find(observable);
    return found == strips_.end() ? 0 : static_cast<qint64>(found->second.origins.size());
}

std::span<const float> LensData::stripTable(int observable) const {
    const auto found = strips_.find(observable);
    return found == strips_.end() ? std::span<const float>{} : std::span<const float>(found->second.values);
}

RowOrigin LensData::stripOrigin(int observable, qint64 token) const {
    const auto found = strips_.find(observable);
    if (found == strips_.end() || token < 0 || token >= static_cast<qint64>(found->second.origins.size())) {
        return RowOrigin::absent;
    }
    return found->second.origins[static_cast<std::size_t>(token)];
}

std::span<const float> LensData::parameter(int observable) const {
    const auto found = parameters_.find(observable);
    return found == parameters_.end() ? std::span<const float>{} : std::span<const float>(found->second);
}

quint64 LensData::version(int observable) const {
    return observable >= 0 && observable < static_cast<int>(versions_.size())
               ? versions_[static_cast<std::size_t>(observable)]
               : 0;
}

std::size_t LensData::bytes() const {
    std::size_t floats = 0;
    for (const auto& [key, map] : pairs_) {
        const std::size_t n = map.size();
        floats += n * (n + 1) / 2;
    }
    for (const auto& [key, strip] : strips_) {
        floats += strip.values.capacity();
    }
    return floats * sizeof(float);
}

QVector<ergo::Observe> subscriptions(const Selection& selection, const ergo::ModelInfo& info) {
    QVector<ergo::Observe> wanted;
    const std::size_t none = info.attentions.size();
    const std::size_t site = selection.site() < 0 ? none : static_cast<std::size_t>(selection.site());
    for (const std::string& name : ergo::lens_observables(info, site)) {
        wanted.append({name, {}});
    }
    return wanted;
}

} // namespace ergosphere
