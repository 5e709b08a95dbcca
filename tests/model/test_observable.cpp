// SPDX-License-Identifier: GPL-3.0-or-later
// Globs over observable names.
#include "engine/base/error.h"
#include "engine/model/observable.h"

#include <QTest>

class TestObservable : public QObject {
    Q_OBJECT

  private slots:
    void globs();
    void matching();
};

void TestObservable::globs() {
    using ergo::glob_match;
    QVERIFY(glob_match("", ""));
    QVERIFY(!glob_match("", "a"));
    QVERIFY(glob_match("*", "layers.0.x"));
    QVERIFY(glob_match("layers.?.router.*", "layers.1.router.shares"));
    QVERIFY(!glob_match("layers.?.router.*", "layers.12.router.shares"));
    QVERIFY(glob_match("*.attention", "lm_head.metric_mqa.attention"));
    QVERIFY(!glob_match("*.attention", "lm_head.metric_mqa.attention.x"));
    QVERIFY(glob_match("**a*b**", "xxaxxbxx"));
    QVERIFY(!glob_match("a*b*c", "abab"));
    QVERIFY(!glob_match("A", "a"));
    QVERIFY(!glob_match(std::string(40, '*') + "x", std::string(5000, 'a'))); // and quickly
}

void TestObservable::matching() {
    std::vector<ergo::Observable> all(3);
    all[0].name = "embed.block.hidden";
    all[1].name = "layers.0.block.hidden";
    all[2].name = "layers.0.block.norm";
    const std::vector<std::string> some{"*.norm", "*.hidden", "embed.*"};
    QCOMPARE(ergo::match_observables(all, some), (std::vector<std::int32_t>{0, 1, 2}));
    QCOMPARE(ergo::find_observable(all, "layers.0.block.norm"), 2);
    QCOMPARE(ergo::find_observable(all, "norm"), -1);
    try {
        const std::vector<std::string> typo{"layers.0.block.nrom"};
        ergo::match_observables(all, typo);
        QFAIL("a pattern that matches nothing was accepted");
    } catch (const ergo::Error& error) {
        QCOMPARE(error.kind(), ergo::ErrorKind::usage);
        QVERIFY(std::string(error.what()).find("layers.0.block.norm") != std::string::npos);
    }
}

QTEST_GUILESS_MAIN(TestObservable)
#include "test_observable.moc"
