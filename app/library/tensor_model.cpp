// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/tensor_model.h"

#include "app/library/model_card.h"
#include "engine/base/error.h"

#include <QLocale>
#include <QRegularExpression>
#include <QThreadPool>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr int deepest = 24;

bool isNumber(const QString& name) {
    return !name.isEmpty() &&
           std::all_of(name.begin(), name.end(), [](QChar c) { return c >= '0' && c <= '9'; });
}

void sortNumbers(TensorOutline& outline) {
    for (TensorOutline::Node& node : outline.nodes) {
        const auto name = [&](int child) -> const QString& { return outline.nodes[std::size_t(child)].name; };
        if (std::all_of(node.children.begin(), node.children.end(),
                        [&](int c) { return isNumber(name(c)); })) {
            std::stable_sort(node.children.begin(), node.children.end(),
                             [&](int a, int b) { return name(a).toLongLong() < name(b).toLongLong(); });
        }
    }
}

// A view lays out all rows of a group that it opens, so none may have a million: large groups are cut into
// groups of their own, named by their first and last.
constexpr std::size_t group_at_most = 1000;

int addRange(TensorOutline& outline, int parent, const std::vector<int>& children) {
    const int made = int(outline.nodes.size());
    outline.nodes.emplace_back();
    TensorOutline::Node& node = outline.nodes.back();
    node.parent = parent;
    node.children = children;
    node.name = QString("%1 %2 %3")
                    .arg(outline.nodes[std::size_t(children.front())].name.section(' ', 0, 0), QChar(0x2026),
                         outline.nodes[std::size_t(children.back())].name.section(' ', -1));
    for (const int child : children) {
        TensorOutline::Node& each = outline.nodes[std::size_t(child)];
        each.parent = made;
        node.bytes += each.bytes;
        node.elements += each.elements;
        node.tensors += each.tensors;
    }
    return made;
}

void cutLargeGroups(TensorOutline& outline) {
    for (std::size_t group = 0; group < outline.nodes.size(); ++group) {
        while (outline.nodes[group].children.size() > group_at_most) {
            const std::vector<int> all = std::move(outline.nodes[group].children);
            std::vector<int> ranges;
            for (std::size_t at = 0; at < all.size(); at += group_at_most) {
                const auto end = std::min(all.size(), at + group_at_most);
                ranges.push_back(
                    addRange(outline, int(group),
                             {all.begin() + std::ptrdiff_t(at), all.begin() + std::ptrdiff_t(end)}));
            }
            outline.nodes[group].children = std::move(ranges);
        }
    }
}

QString shapeText(const ergo::Shape& shape) {
    QStringList sizes;
    for (const std::int64_t size : shape) {
        sizes << QString::number(size);
    }
    return sizes.isEmpty() ? TensorModel::tr("one number") : sizes.join(QString(" %1 ").arg(QChar(0xD7)));
}

} // namespace

QString tensorCountText(qint64 count) {
    return count == 1 ? TensorModel::tr("1 tensor")
                      : TensorModel::tr("%1 tensors").arg(QLocale().toString(count));
}

QString numberText(double value) {
    return QLocale().toString(value, 'g', 4);
}

void freeElsewhere(std::function<void()> free) {
    QThreadPool::globalInstance()->start(std::move(free));
}

std::shared_ptr<const TensorOutline> outlineOf(std::shared_ptr<const ergo::Checkpoint> checkpoint) {
    const std::shared_ptr<TensorOutline> outline = freedElsewhere(new TensorOutline);
    outline->nodes.emplace_back();
    std::map<std::pair<int, QString>, int> known; // (parent, name) to node
    for (const std::string& name : checkpoint->order()) {
        const auto tensor = checkpoint->tensors().find(name);
        const auto odd = checkpoint->unreadable().find(name);
        if (tensor == checkpoint->tensors().end() && odd == checkpoint->unreadable().end()) {
            continue;
        }
        const bool readable = tensor != checkpoint->tensors().end();
        const ergo::Shape& shape = readable ? tensor->second.shape() : odd->second.shape;
        const auto bytes = readable ? qint64(tensor->second.bytes().size()) : 0;
        int at = 0;
        QStringList parts = QString::fromStdString(ergo::printable(name, 4096)).split('.');
        if (parts.size() > deepest) { // no model has such names; a hostile file may
            parts = parts.mid(0, deepest - 1) << QStringList(parts.mid(deepest - 1)).join('.');
        }
        for (qsizetype i = 0; i < parts.size(); ++i) {
            const bool leaf = i + 1 == parts.size();
            // A name may be both a tensor and the beginning of others.
            const auto [found, fresh] = known.emplace(std::pair(at, leaf ? parts[i] + QChar(0) : parts[i]),
                                                      int(outline->nodes.size()));
            if (fresh) {
                outline->nodes.emplace_back();
                outline->nodes.back().name = parts[i];
                outline->nodes.back().parent = at;
                outline->nodes[std::size_t(at)].children.push_back(found->second);
            }
            at = found->second;
        }
        outline->nodes[std::size_t(at)].tensor = int(outline->names.size());
        for (int up = at;; up = outline->nodes[std::size_t(up)].parent) {
            TensorOutline::Node& node = outline->nodes[std::size_t(up)];
            node.bytes += bytes;
            node.elements += ergo::element_count(shape);
            ++node.tensors;
            if (up == 0) {
                break;
            }
        }
        outline->names.push_back(name);
        outline->shapes.push_back(shapeText(shape));
        outline->types.push_back(
            readable ? QString::fromLatin1(ergo::dtype_name(tensor->second.dtype()).data(),
                                           qsizetype(ergo::dtype_name(tensor->second.dtype()).size()))
                     : QString::fromStdString(odd->second.stored_type));
    }
    sortNumbers(*outline);
    cutLargeGroups(*outline);
    outline->node_of.resize(outline->names.size());
    for (std::size_t node = 0; node < outline->nodes.size(); ++node) {
        if (const int tensor = outline->nodes[node].tensor; tensor >= 0) {
            outline->node_of[std::size_t(tensor)] = int(node);
        }
    }
    outline->everything = selectTensors(*outline, {});
    outline->checkpoint = std::move(checkpoint);
    return outline;
}

std::shared_ptr<const TensorSelection> selectTensors(const TensorOutline& outline, const QString& text,
                                                     const ergo::CancelToken& cancel) {
    const QString wanted = text.trimmed();
    const bool wild = wanted.contains('*') || wanted.contains('?');
    const QRegularExpression form(QRegularExpression::wildcardToRegularExpression(
                                      wanted, QRegularExpression::UnanchoredWildcardConversion),
                                  QRegularExpression::CaseInsensitiveOption);
    const auto& nodes = outline.nodes;
    const std::shared_ptr<TensorSelection> made = freedElsewhere(new TensorSelection);
    TensorSelection& out = *made;
    out.visible.resize(nodes.size());
    out.row.assign(nodes.size(), -1);
    std::vector<bool> keep(nodes.size(), false);
    for (std::size_t node = 0; node < nodes.size(); ++node) {
        if (nodes[node].tensor < 0) {
            continue;
        }
        if (node % 4096 == 0) {
            cancel.check();
        }
        const QString name = QString::fromStdString(outline.names[std::size_t(nodes[node].tensor)]);
        if (wild ? form.match(name).hasMatch() : name.contains(wanted, Qt::CaseInsensitive)) {
            ++out.shown;
            for (int up = int(node); !keep[std::size_t(up)]; up = nodes[std::size_t(up)].parent) {
                keep[std::size_t(up)] = true;
            }
        }
    }
    for (std::size_t node = 0; node < nodes.size(); ++node) {
        for (const int child : nodes[node].children) {
            if (keep[std::size_t(child)]) {
                out.row[std::size_t(child)] = int(out.visible[node].size());
                out.visible[node].push_back(child);
            }
        }
        if (node % 4096 == 0) {
            cancel.check();
        }
    }
    return made;
}

TensorModel::TensorModel(std::shared_ptr<const TensorOutline> outline, QObject* parent)
    : QAbstractItemModel(parent), outline_(std::move(outline)), shown_(outline_->everything) {}

void TensorModel::setFilter(const QString& text) {
    setSelection(text.trimmed().isEmpty() ? outline_->everything : selectTensors(*outline_, text));
}

void TensorModel::setSelection(std::shared_ptr<const TensorSelection> selection) {
    beginResetModel();
    shown_ = std::move(selection);
    endResetModel();
}

int TensorModel::tensorAt(const QModelIndex& index) const {
    return index.isValid() ? outline_->nodes[std::size_t(nodeOf(index))].tensor : -1;
}

void TensorModel::collect(int node, std::vector<int>& into) const {
    if (const int tensor = outline_->nodes[std::size_t(node)].tensor; tensor >= 0) {
        into.push_back(tensor);
    }
    for (const int child : shown_->visible[std::size_t(node)]) {
        collect(child, into);
    }
}

std::vector<int> TensorModel::tensorsBelow(const QModelIndex& index) const {
    std::vector<int> found;
    collect(nodeOf(index), found);
    return found;
}

QModelIndex TensorModel::indexOf(int tensor) const {
    const int node = outline_->node_of[std::size_t(tensor)], row = shown_->row[std::size_t(node)];
    return row < 0 ? QModelIndex() : createIndex(row, 0, quintptr(node));
}

void TensorModel::setStats(int tensor, const ergo::TensorStats& stats) {
    stats_[tensor] = stats;
    if (const QModelIndex at = indexOf(tensor); at.isValid()) {
        emit dataChanged(at.siblingAtColumn(mean_column), at.siblingAtColumn(values_column));
    }
}

const ergo::TensorStats* TensorModel::stats(int tensor) const {
    const auto found = stats_.find(tensor);
    return found == stats_.end() ? nullptr : &found->second;
}

QModelIndex TensorModel::index(int row, int column, const QModelIndex& parent) const {
    const auto& children = shown_->visible[std::size_t(nodeOf(parent))];
    return row >= 0 && row < int(children.size()) && column >= 0 && column < columns
               ? createIndex(row, column, quintptr(children[std::size_t(row)]))
               : QModelIndex();
}

QModelIndex TensorModel::parent(const QModelIndex& index) const {
    const int up = index.isValid() ? outline_->nodes[std::size_t(nodeOf(index))].parent : 0;
    return up == 0 ? QModelIndex() : createIndex(shown_->row[std::size_t(up)], 0, quintptr(up));
}

int TensorModel::rowCount(const QModelIndex& parent) const {
    return parent.column() > 0 ? 0 : int(shown_->visible[std::size_t(nodeOf(parent))].size());
}

int TensorModel::columnCount(const QModelIndex&) const {
    return columns;
}

QString TensorModel::text(int node, int column) const {
    const TensorOutline::Node& n = outline_->nodes[std::size_t(node)];
    const ergo::TensorStats* s = n.tensor >= 0 ? stats(n.tensor) : nullptr;
    switch (column) {
    case name_column:
        return n.name;
    case shape_column:
        return n.tensor >= 0 ? outline_->shapes[std::size_t(n.tensor)] : tensorCountText(n.tensors);
    case type_column:
        return n.tensor >= 0 ? outline_->types[std::size_t(n.tensor)] : QString();
    case size_column:
        return byteText(std::uint64_t(n.bytes));
    case mean_column:
        return s ? numberText(s->mean) : QString();
    case min_column:
        return s ? numberText(s->min) : QString();
    case max_column:
        return s ? numberText(s->max) : QString();
    default:
        return {};
    }
}

QVariant TensorModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) {
        return {};
    }
    const int node = nodeOf(index), column = index.column();
    switch (role) {
    case Qt::DisplayRole:
        return text(node, column);
    case Qt::TextAlignmentRole:
        return int((column >= size_column ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    case Qt::ToolTipRole: {
        const int tensor = outline_->nodes[std::size_t(node)].tensor;
        return tensor >= 0
                   ? QString::fromStdString(ergo::printable(outline_->names[std::size_t(tensor)], 400))
                   : QVariant();
    }
    case Qt::AccessibleTextRole: {
        QStringList words;
        for (int c = name_column; c < values_column; ++c) {
            if (const QString word = text(node, c); !word.isEmpty()) {
                words << (c >= mean_column
                              ? headerData(c, Qt::Horizontal, Qt::DisplayRole).toString() + " " + word
                              : word);
            }
        }
        return column == name_column ? words.join(", ") : text(node, column);
    }
    default:
        return {};
    }
}

QVariant TensorModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole) {
        return {};
    }
    switch (section) {
    case name_column:
        return tr("Tensor");
    case shape_column:
        return tr("Shape");
    case type_column:
        return tr("Type");
    case size_column:
        return tr("Size");
    case mean_column:
        return tr("Mean");
    case min_column:
        return tr("Smallest");
    case max_column:
        return tr("Largest");
    case values_column:
        return tr("Values");
    default:
        return {};
    }
}

} // namespace ergosphere
