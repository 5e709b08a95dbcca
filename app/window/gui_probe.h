// SPDX-License-Identifier: GPL-3.0-or-later
// Measures every event handler of the GUI thread: CPU time of the thread and wall clock, from the outermost
// notify() to its return, and pages of memory that were touched for the first time meanwhile. Owned by
// Application; GUI thread.
#pragma once

#include <QString>
#include <QVector>

#include <cstdint>

class QEvent;
class QObject;

namespace ergosphere {

class GuiProbe {
  public:
    struct Record {
        QString receiver; ///< class and object name
        int event = 0;    ///< QEvent::Type
        double cpu_ms = 0, wall_ms = 0;
        std::int64_t pages = 0; ///< touched for the first time
    };

    /// Handlers that took at least this much CPU time are kept as records.
    static constexpr double keep_ms = 4;

    void reset();
    std::uint64_t handlers() const { return handlers_; }
    double worstCpuMs() const { return worst_cpu_ms_; }
    double worstWallMs() const { return worst_wall_ms_; }
    /// The slowest handlers by CPU time, slowest first, 32 at most.
    QVector<Record> slowest() const;
    /// One line a slow handler, for logs and failing tests.
    QString report() const;

    /// Brackets one handler; nested ones count for the outermost.
    class Scope {
      public:
        Scope(GuiProbe& probe, const QObject* receiver, const QEvent* event);
        ~Scope();
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

      private:
        GuiProbe& probe_;
        QString receiver_name_;
        const char* receiver_class_ = "";
        int event_ = 0;
        double cpu_start_ = 0, wall_start_ = 0;
        std::int64_t pages_start_ = 0;
        bool outermost_ = false;
    };

  private:
    void add(const Record& record);

    int depth_ = 0;
    std::uint64_t handlers_ = 0;
    double worst_cpu_ms_ = 0, worst_wall_ms_ = 0;
    QVector<Record> records_;
};

} // namespace ergosphere
