// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/thread_pool.h"

#include <QtTest>

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

using ergo::ThreadPool;

class TestThreadPool : public QObject {
    Q_OBJECT

  private slots:
    void covers_every_index_once();
    void ranges_respect_the_grain();
    void rethrows_and_recovers();
    void nested_and_concurrent_loops();
    void wakes_sleeping_helpers();
    void pinned_workers_have_a_processor_each();
    void sleeps_when_idle();
    void a_loop_costs_little();
};

void TestThreadPool::covers_every_index_once() {
    for (const int threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        QCOMPARE(pool.threads(), threads);
        for (const std::int64_t count : {0, 1, 7, 8, 9, 1000, 4097}) {
            std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
            for (int repeat = 0; repeat < 50; ++repeat) {
                pool.parallel_for(count, 8, [&](std::int64_t begin, std::int64_t end, int) {
                    for (std::int64_t i = begin; i < end; ++i) {
                        hits[static_cast<std::size_t>(i)].fetch_add(1, std::memory_order_relaxed);
                    }
                });
            }
            for (const auto& hit : hits) {
                QCOMPARE(hit.load(), 50);
            }
        }
    }
    QVERIFY(ThreadPool::physical_cores() >= 1);
}

void TestThreadPool::ranges_respect_the_grain() {
    ThreadPool pool(3);
    std::vector<std::atomic<bool>> running(3);
    pool.parallel_for(1001, 16, [&](std::int64_t begin, std::int64_t end, int worker) {
        // Throwing, for a failed QVERIFY on a helper would only leave the lambda.
        if (begin % 16 != 0 || (end % 16 != 0 && end != 1001) || begin >= end || worker < 0 || worker > 2) {
            throw std::logic_error("bad range");
        }
        if (running[static_cast<std::size_t>(worker)].exchange(true)) {
            throw std::logic_error("two pieces share a worker number");
        }
        std::this_thread::yield();
        running[static_cast<std::size_t>(worker)].store(false);
    });
}

void TestThreadPool::rethrows_and_recovers() {
    ThreadPool pool(2);
    for (int repeat = 0; repeat < 20; ++repeat) {
        QVERIFY_EXCEPTION_THROWN(pool.parallel_for(100, 1,
                                                   [](std::int64_t begin, std::int64_t end, int) {
                                                       if (begin <= 50 && 50 < end) {
                                                           throw std::runtime_error("fifty");
                                                       }
                                                   }),
                                 std::runtime_error);
        std::atomic<std::int64_t> sum{0};
        pool.parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end, int) { sum += end - begin; });
        QCOMPARE(sum.load(), 100);
    }
}

void TestThreadPool::nested_and_concurrent_loops() {
    ThreadPool pool(2);
    std::atomic<std::int64_t> sum{0};
    const auto loop = [&] {
        for (int repeat = 0; repeat < 200; ++repeat) {
            pool.parallel_for(64, 1, [&](std::int64_t begin, std::int64_t end, int) {
                pool.parallel_for(end - begin, 1, [&](std::int64_t b, std::int64_t e, int) { sum += e - b; });
            });
        }
    };
    std::thread other(loop);
    loop();
    other.join();
    QCOMPARE(sum.load(), 2 * 200 * 64);
}

void TestThreadPool::wakes_sleeping_helpers() {
    ThreadPool pool(2);
    for (int repeat = 0; repeat < 5; ++repeat) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20)); // helpers sleep by now
        std::atomic<bool> helped{false};
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        pool.parallel_for(64, 1, [&](std::int64_t, std::int64_t, int worker) {
            if (worker != 0) {
                helped = true;
            }
            while (!helped && std::chrono::steady_clock::now() < deadline) {
                std::this_thread::yield();
            }
        });
        QVERIFY(helped);
    }
}

namespace {

std::set<int> processors_of_this_thread() {
    std::set<int> out;
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &allowed)) {
                out.insert(cpu);
            }
        }
    }
    return out;
}

} // namespace

void TestThreadPool::pinned_workers_have_a_processor_each() {
    const std::set<int> all = processors_of_this_thread();
    const int threads = std::min(2, static_cast<int>(all.size()));
    for (const bool pinned : {false, true}) {
        ThreadPool pool(threads, pinned);
        std::vector<std::set<int>> seen(static_cast<std::size_t>(threads));
        std::atomic<int> workers{0};
        {
            const ThreadPool::CallerPin pin(pool);
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
            pool.parallel_for(64, 1, [&](std::int64_t, std::int64_t, int worker) {
                std::set<int>& mine = seen[static_cast<std::size_t>(worker)];
                workers += mine.empty();
                mine = processors_of_this_thread();
                while (workers < threads && std::chrono::steady_clock::now() < deadline) {
                    std::this_thread::yield(); // until every worker has had a piece
                }
            });
        }
        QCOMPARE(workers.load(), threads);
        std::set<int> together;
        for (const std::set<int>& mine : seen) {
            QCOMPARE(mine.size(), pinned ? std::size_t{1} : all.size());
            together.insert(mine.begin(), mine.end());
        }
        QCOMPARE(together.size(), pinned ? static_cast<std::size_t>(threads) : all.size());
        QCOMPARE(processors_of_this_thread(), all); // the caller may go where it could before
    }
}

namespace {

double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

} // namespace

void TestThreadPool::sleeps_when_idle() {
    ThreadPool pool(2);
    pool.parallel_for(64, 1, [](std::int64_t, std::int64_t, int) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(50)); // it spins first
    const double before = processor_seconds();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const double share = processor_seconds() - before; // of one core
    qInfo("idle: %.3f %% of a core", 100 * share);
    QVERIFY(share < 0.01);
}

// A loop that both threads take part in, for each waits for the other; the quickest turn, for others may use
// the machine.
void TestThreadPool::a_loop_costs_little() {
    if (processors_of_this_thread().size() < 2) {
        QSKIP("two threads need two processors");
    }
    using Clock = std::chrono::steady_clock;
    constexpr int loops = 20;
    ThreadPool pool(2);
    const auto start = Clock::now();
    double least = 1;
    while (least > 2e-6 && Clock::now() - start < std::chrono::seconds(20)) {
        std::atomic<int> arrived{0};
        const auto turn = Clock::now();
        for (int i = 1; i <= loops; ++i) {
            pool.parallel_for(2, 1, [&](std::int64_t, std::int64_t, int) {
                ++arrived;
                for (int spins = 0; arrived < 2 * i; ++spins) {
                    if (spins > 100000) { // the other is descheduled: this turn does not count
                        std::this_thread::yield();
                    }
                }
            });
        }
        const std::chrono::duration<double> took = Clock::now() - turn;
        least = std::min(least, took.count() / loops);
    }
    qInfo("a loop of two threads: %.0f ns", least * 1e9);
#if defined(NDEBUG)
    QVERIFY(least < 2e-6);
#endif
}

QTEST_GUILESS_MAIN(TestThreadPool)
#include "test_thread_pool.moc"
