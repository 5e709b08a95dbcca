// SPDX-License-Identifier: GPL-3.0-or-later
// The newest snapshot of what the lenses subscribe to, gathered from the engine's frames by absolute
// position. Views read it and never ask the engine. Owned by the main window; GUI thread.
#pragma once

#include "app/lens/selection.h"
#include "engine/generate/frame.h"
#include "engine/generate/opened_model.h"
#include "engine/generate/worker.h"

#include <QObject>
#include <QStringList>
#include <QTimer>
#include <QVector>

#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace ergosphere {

/// Where a stored row comes from.
enum class RowOrigin : unsigned char {
    absent,
    run,        ///< captured by the step that wrote the token
    recomputed, ///< captured by a second pass over the same tokens
};

class LensData : public QObject {
    Q_OBJECT

  public:
    explicit LensData(QObject* parent = nullptr);
    ~LensData() override;

    // What the window feeds in. Each of these ends in one changed() at most 33 ms later.

    /// A new model, or null: forgets everything.
    void setModel(std::shared_ptr<const ergo::OpenedModel> opened);
    /// Texts of the whole token log (raw: real spaces and newlines; views make them visible themselves).
    void setTokens(QStringList texts);
    void appendToken(const QString& text);
    /// Takes the rows of a frame. Frames of an earlier log (smaller `session`) are ignored.
    void add(ergo::Frame&& frame);
    /// Forgets tokens and rows from position `length` on.
    void truncate(qint64 length);
    /// Forgets tokens and rows, keeps the model.
    void clear();
    /// Pair maps of observables not in `wanted` may be dropped (the oldest first, beyond the memory budget).
    void retain(const QVector<ergo::Observe>& wanted);
    /// What is changed in the model (as `--set` has it), and the values of all its parameters then; empty:
    /// nothing, or none of them.
    void setChanges(const QStringList& changes, const std::vector<std::vector<float>>& values);
    /// What the strip "measured on" says: "AMD EPYC, 2 threads, AVX-512", 2, "f32". Taken from the model's
    /// backend by setModel where it has one.
    void setMeasuredOn(const QString& device, int threads, const QString& precision);
    /// "f32", and what else was rounded when the model was opened.
    static QString precisionOf(const ergo::OpenedModel& opened);

    // What the views read.

    const std::shared_ptr<const ergo::OpenedModel>& opened() const { return opened_; }
    /// Null without a model.
    const ergo::ModelInfo* info() const;
    const QStringList& tokens() const { return tokens_; }
    qint64 length() const { return tokens_.size(); }
    /// "AMD EPYC … · 2 threads · f32"
    const QString& measuredOn() const { return measured_on_; }
    /// Empty: the model is as its file has it.
    const QStringList& changes() const { return changes_; }

    /// Index into Model::observables(), -1: the model has no such thing.
    int observable(const std::string& name) const;
    /// One row of a pair map: `query + 1` values (keys 0 … query); empty while absent.
    std::span<const float> pairRow(int observable, int head, qint64 query) const;
    /// One past the last query whose row is there.
    qint64 pairRows(int observable, int head) const;
    RowOrigin pairOrigin(int observable, int head, qint64 query) const;
    /// All rows of one head as they are now, shared and not copied; null while absent.
    using PairRows = std::vector<std::shared_ptr<const std::vector<float>>>;
    PairRows pairRowsHeld(int observable, int head) const;
    /// Changes whenever the row's numbers do; 0 while absent. For caches that keep up row by row.
    quint64 pairStamp(int observable, int head, qint64 query) const;
    /// A token's values of a row-wise observable (shares, kept_share …); empty while absent.
    std::span<const float> strip(int observable, qint64 token) const;
    qint64 stripRows(int observable) const;
    /// All rows [stripRows, width] at once; rows that are absent are 0.
    std::span<const float> stripTable(int observable) const;
    RowOrigin stripOrigin(int observable, qint64 token) const;
    /// Values of a parameter observable (radius, alpha …) as the model has them now; empty when it is none.
    std::span<const float> parameter(int observable) const;
    /// Grows with every change of this observable's rows: for caches.
    quint64 version(int observable) const;
    /// Bytes of stored rows.
    std::size_t bytes() const;

    // For tests and figures made without a model: pretend to have this one.
    void setSynthetic(ergo::ModelInfo info, std::vector<ergo::Observable> observables,
                      std::map<std::string, std::vector<float>> parameters);

  signals:
    /// Something the views show has changed; at most 30 times a second.
    void changed();
    /// Another model (or none); emitted at once.
    void modelChanged();

  private:
    /// One (observable, head): row q has q + 1 values. Rows are apart, so that growing never copies the map.
    struct PairRow {
        std::shared_ptr<const std::vector<float>> values; // null while absent; never changed, only replaced
        RowOrigin origin = RowOrigin::absent;
        quint64 stamp = 0;
    };
    using PairMap = std::vector<PairRow>;
    /// One row-wise observable.
    struct Strip {
        qint64 width = 0;
        std::vector<float> values; // [tokens, width]
        std::vector<RowOrigin> origins;
    };

    const PairRow* findRow(int observable, int head, qint64 query) const;
    void touch(int observable);
    void schedule();
    void dropRows(qint64 from);
    void readParameters(const std::vector<std::vector<float>>& changed);
    void addPairs(const ergo::Frame& frame, const ergo::Capture& capture);
    void addStrip(const ergo::Frame& frame, const ergo::Capture& capture);

    std::shared_ptr<const ergo::OpenedModel> opened_;
    ergo::ModelInfo info_;
    bool has_info_ = false;
    std::vector<ergo::Observable> observables_;
    std::map<std::string, int> index_;
    QStringList tokens_;
    QString measured_on_;
    QStringList changes_;
    quint64 session_ = 0;
    std::map<std::pair<int, int>, PairMap> pairs_;
    std::map<int, Strip> strips_;
    std::map<int, std::vector<float>> parameters_;
    std::vector<quint64> versions_;
    quint64 clock_ = 0;
    std::vector<int> recent_; // pair observables, most recently wanted last
    QTimer timer_;
    qint64 last_ms_ = 0;
};

/// What the lenses need for this selection: attention of all heads of the selected site, the shares of all
/// routers, the weights of all depth routers, the kept share of all sites with a ball.
QVector<ergo::Observe> subscriptions(const Selection& selection, const ergo::ModelInfo& info);

} // namespace ergosphere
