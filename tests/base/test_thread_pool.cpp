// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/thread_pool.h"

#include <QtTest>

#include <atomic>
#include <numeric>
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

QTEST_GUILESS_MAIN(TestThreadPool)
#include "test_thread_pool.moc"
