// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/gui_probe.h"

#include <QEvent>
#include <QObject>

#include <sys/resource.h>

#include <algorithm>
#include <ctime>

namespace ergosphere {

namespace {

constexpr int max_records = 32;

double milliseconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return double(now.tv_sec) * 1e3 + double(now.tv_nsec) * 1e-6;
}

std::int64_t pages_touched() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

} // namespace

void GuiProbe::reset() {
    handlers_ = 0;
    worst_cpu_ms_ = worst_wall_ms_ = 0;
    records_.clear();
}

QVector<GuiProbe::Record> GuiProbe::slowest() const {
    return records_;
}

QString GuiProbe::report() const {
    QString text = QString("%1 handlers, worst %2 ms CPU, %3 ms wall clock\n")
                       .arg(handlers_)
                       .arg(worst_cpu_ms_, 0, 'f', 1)
                       .arg(worst_wall_ms_, 0, 'f', 1);
    for (const Record& r : records_) {
        text += QString("  %1 ms CPU %2 ms wall %3 pages  event %4  %5\n")
                    .arg(r.cpu_ms, 7, 'f', 2)
                    .arg(r.wall_ms, 7, 'f', 2)
                    .arg(r.pages, 5)
                    .arg(r.event)
                    .arg(r.receiver);
    }
    return text;
}

void GuiProbe::add(const Record& record) {
    ++handlers_;
    worst_cpu_ms_ = std::max(worst_cpu_ms_, record.cpu_ms);
    worst_wall_ms_ = std::max(worst_wall_ms_, record.wall_ms);
    if (record.cpu_ms < keep_ms) {
        return;
    }
    const auto slower = [](const Record& a, const Record& b) { return a.cpu_ms > b.cpu_ms; };
    records_.insert(std::upper_bound(records_.begin(), records_.end(), record, slower), record);
    if (records_.size() > max_records) {
        records_.removeLast();
    }
}

GuiProbe::Scope::Scope(GuiProbe& probe, const QObject* receiver, const QEvent* event)
    : probe_(probe), outermost_(probe.depth_++ == 0) {
    if (outermost_) {
        // The receiver may be gone when its handler returns, so its name is taken now.
        receiver_class_ = receiver->metaObject()->className();
        receiver_name_ = receiver->objectName();
        event_ = event->type();
        pages_start_ = pages_touched();
        cpu_start_ = milliseconds(CLOCK_THREAD_CPUTIME_ID);
        wall_start_ = milliseconds(CLOCK_MONOTONIC);
    }
}

GuiProbe::Scope::~Scope() {
    --probe_.depth_;
    if (outermost_) {
        const double cpu_ms = milliseconds(CLOCK_THREAD_CPUTIME_ID) - cpu_start_;
        const double wall_ms = milliseconds(CLOCK_MONOTONIC) - wall_start_;
        QString receiver; // only of those that are kept
        if (cpu_ms >= keep_ms) {
            receiver = receiver_class_;
            if (!receiver_name_.isEmpty()) {
                receiver += QString(" \"%1\"").arg(receiver_name_);
            }
        }
        probe_.add({receiver, event_, cpu_ms, wall_ms, pages_touched() - pages_start_});
    }
}

} // namespace ergosphere
