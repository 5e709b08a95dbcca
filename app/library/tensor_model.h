// SPDX-License-Identifier: GPL-3.0-or-later
// The stored tensors of a checkpoint as a tree, by the dots in their names. The outline is built on any
// thread; the model belongs to the GUI thread.
#pragma once

#include "engine/base/cancel.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/lab/tensor_stats.h"

#include <QAbstractItemModel>
#include <QString>

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace ergosphere {

/// What a filter lets through.
struct TensorSelection {
    std::vector<std::vector<int>> visible; ///< children of every node that are shown
    std::vector<int> row;                  ///< of every node among its parent's shown children, -1: not shown
    int shown = 0;                         ///< tensors
};

/// Groups and tensors; node 0 is the root, which nobody sees.
struct TensorOutline {
    struct Node {
        QString name; ///< the part between two dots
        int parent = 0;
        std::vector<int> children;      ///< in file order, numbers by value
        int tensor = -1;                ///< index into `names`, -1: a group
        qint64 bytes = 0, elements = 0; ///< of everything below
        int tensors = 0;                ///< below a group
    };
    std::vector<Node> nodes;
    std::vector<std::string> names; ///< whole names
    std::vector<QString> shapes, types;
    std::vector<int> node_of; ///< of every tensor
    std::shared_ptr<const TensorSelection> everything;
    std::shared_ptr<const ergo::Checkpoint> checkpoint;
};

std::shared_ptr<const TensorOutline> outlineOf(std::shared_ptr<const ergo::Checkpoint> checkpoint);

/// Runs it in another thread.
void freeElsewhere(std::function<void()> free);
/// Something large that whoever lets go of it last does not free himself: that takes longer than a frame.
template <class T> std::shared_ptr<T> freedElsewhere(T* made) {
    return std::shared_ptr<T>(made, [](T* last) { freeElsewhere([last] { delete last; }); });
}

/// Tensors whose whole name contains `text` (or fits it, with * and ?), in any case. Any thread; throws
/// Error(cancelled).
std::shared_ptr<const TensorSelection> selectTensors(const TensorOutline& outline, const QString& text,
                                                     const ergo::CancelToken& cancel = {});

class TensorModel : public QAbstractItemModel {
    Q_OBJECT

  public:
    enum Column {
        name_column,
        shape_column,
        type_column,
        size_column,
        mean_column,
        min_column,
        max_column,
        values_column,
        columns
    };

    explicit TensorModel(std::shared_ptr<const TensorOutline> outline, QObject* parent = nullptr);

    /// Shows only what selectTensors says, worked out at once; for many tensors give its answer instead.
    void setFilter(const QString& text);
    void setSelection(std::shared_ptr<const TensorSelection> selection);
    int shownTensors() const { return shown_->shown; }
    /// Index into names, -1 for a group.
    int tensorAt(const QModelIndex& index) const;
    /// All tensors at or below it that are shown.
    std::vector<int> tensorsBelow(const QModelIndex& index) const;
    QModelIndex indexOf(int tensor) const;
    void setStats(int tensor, const ergo::TensorStats& stats);
    const ergo::TensorStats* stats(int tensor) const;
    const TensorOutline& outline() const { return *outline_; }

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& index) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

  private:
    int nodeOf(const QModelIndex& index) const { return index.isValid() ? int(index.internalId()) : 0; }
    QString text(int node, int column) const;
    void collect(int node, std::vector<int>& into) const;

    std::shared_ptr<const TensorOutline> outline_;
    std::shared_ptr<const TensorSelection> shown_;
    std::map<int, ergo::TensorStats> stats_;
};

/// "1 tensor", "2,048 tensors"
QString tensorCountText(qint64 count);
/// "-0.0123", with four digits.
QString numberText(double value);

} // namespace ergosphere
