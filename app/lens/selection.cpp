// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/selection.h"

#include <algorithm>

namespace ergosphere {

Selection::Selection(QObject* parent) : QObject(parent) {}

template <class T> bool Selection::assign(T& member, T value, void (Selection::*notify)(T)) {
    if (member == value) {
        return false;
    }
    member = value;
    emit(this->*notify)(value);
    return true;
}

int Selection::heads() const {
    return site_ >= 0 && site_ < heads_.size() ? heads_[site_] : 0;
}

void Selection::setHeads(const QVector<int>& heads_of_sites) {
    heads_ = heads_of_sites;
    bool any = assign(token_, qint64{-1}, &Selection::tokenChanged);
    any |= assign(hovered_, qint64{-1}, &Selection::hoveredChanged);
    any |= assign(second_, qint64{-1}, &Selection::secondChanged);
    any |= assign(site_, heads_.isEmpty() ? -1 : 0, &Selection::siteChanged);
    any |= assign(head_, -1, &Selection::headChanged);
    any |= assign(path_, -1, &Selection::pathChanged);
    if (any) {
        emit changed();
    }
}

void Selection::setLength(qint64 tokens) {
    length_ = std::max(qint64{0}, tokens);
    bool any = false;
    if (token_ >= length_) {
        any |= assign(token_, qint64{-1}, &Selection::tokenChanged);
    }
    if (hovered_ >= length_) {
        any |= assign(hovered_, qint64{-1}, &Selection::hoveredChanged);
    }
    if (second_ >= length_) {
        any |= assign(second_, qint64{-1}, &Selection::secondChanged);
    }
    if (any) {
        emit changed();
    }
}

void Selection::setToken(qint64 position) {
    if (assign(token_, std::clamp(position, qint64{-1}, length_ - 1), &Selection::tokenChanged)) {
        emit changed();
    }
}

void Selection::setHovered(qint64 position) {
    if (assign(hovered_, std::clamp(position, qint64{-1}, length_ - 1), &Selection::hoveredChanged)) {
        emit changed();
    }
}

void Selection::setSecond(qint64 position) {
    if (assign(second_, std::clamp(position, qint64{-1}, length_ - 1), &Selection::secondChanged)) {
        emit changed();
    }
}

void Selection::setSite(int site) {
    const int last = static_cast<int>(heads_.size()) - 1;
    bool any = assign(site_, last < 0 ? -1 : std::clamp(site, 0, last), &Selection::siteChanged);
    if (head_ >= heads()) {
        any |= assign(head_, -1, &Selection::headChanged);
    }
    if (any) {
        emit changed();
    }
}

void Selection::setHead(int head) {
    if (assign(head_, std::clamp(head, -1, heads() - 1), &Selection::headChanged)) {
        emit changed();
    }
}

void Selection::setPath(int path) {
    if (assign(path_, std::max(-1, path), &Selection::pathChanged)) {
        emit changed();
    }
}

void Selection::clear() {
    bool any = assign(token_, qint64{-1}, &Selection::tokenChanged);
    any |= assign(hovered_, qint64{-1}, &Selection::hoveredChanged);
    any |= assign(second_, qint64{-1}, &Selection::secondChanged);
    any |= assign(path_, -1, &Selection::pathChanged);
    if (any) {
        emit changed();
    }
}

} // namespace ergosphere
