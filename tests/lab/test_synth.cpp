// SPDX-License-Identifier: GPL-3.0-or-later
// Synthetic checkpoints: reproducible numbers, files that open again, refusals.
#include "../model/support_moa.h"
#include "engine/base/error.h"
#include "engine/checkpoint/checkpoint.h"

#include <QTemporaryDir>
#include <QTest>

using namespace moa_test;

class TestSynth : public QObject {
    Q_OBJECT

  private slots:
    void known_numbers();
    void same_seed_same_numbers();
    void stored_tables_follow_from_coefficients();
    void refusals();
};

/// First numbers of a stream that any program must reproduce: 1 + 0.2 sqrt(3) (k / 2^23 - 1).
void TestSynth::known_numbers() {
    auto request = request_for(cases()[0]);
    request.seed = 0;
    const auto made = ergo::synthesise(request);
    for (const auto& [name, tensor] : made.tensors) {
        if (name == "model.norm.weight") {
            const auto values = tensor.to_floats();
            const int first[] = {816846, 2312237, 6745396};
            for (std::size_t i = 0; i < 3; ++i) {
                const double u = std::sqrt(3.0) * (first[i] / 8388608.0 - 1.0);
                QCOMPARE(values[i], static_cast<float>(1.0 + 0.2 * u));
            }
            return;
        }
    }
    QFAIL("there is no model.norm.weight");
}

void TestSynth::same_seed_same_numbers() {
    const auto bytes = [](std::uint64_t seed) {
        auto request = request_for(cases()[1]);
        request.seed = seed;
        std::vector<float> out;
        for (const auto& [name, tensor] : ergo::synthesise(request).tensors) {
            const auto values = tensor.to_floats();
            out.insert(out.end(), values.begin(), values.end());
        }
        return out;
    };
    QCOMPARE(bytes(3), bytes(3));
    QVERIFY(bytes(3) != bytes(4));
}

void TestSynth::stored_tables_follow_from_coefficients() {
    auto request = request_for(cases()[0]);
    const auto plain = ergo::synthesise(request);
    request.table_jitter = 0.02;
    const auto jittered = ergo::synthesise(request);
    for (std::size_t i = 0; i < plain.tensors.size(); ++i) {
        const auto a = plain.tensors[i].second.to_floats(), b = jittered.tensors[i].second.to_floats();
        const auto& name = plain.tensors[i].first;
        QCOMPARE(a == b, !name.ends_with("_cached"));
        if (name.ends_with("cos_cached")) { // cos^2 + sin^2 = 1 at every entry
            const auto sine = plain.tensors[i + 1].second.to_floats();
            for (std::size_t k = 0; k < a.size(); ++k) {
                QVERIFY(std::abs(a[k] * a[k] + sine[k] * sine[k] - 1) < 1e-6);
            }
        }
    }
}

void TestSynth::refusals() {
    const QTemporaryDir folder;
    const std::filesystem::path path = folder.path().toStdString();
    ergo::synth(request_for(cases()[5]), path / "new");
    QVERIFY(ergo::Checkpoint::open(path / "new")->complete());
    QVERIFY_EXCEPTION_THROWN(ergo::synth(request_for(cases()[5]), path / "new"),
                             ergo::Error); // never overwritten
    ergo::SynthRequest request;
    request.like = "GPT-5";
    QVERIFY_EXCEPTION_THROWN(ergo::synthesise(request), ergo::Error);
    request.like = "Discovery";
    request.dtype = ergo::DType::i8;
    QVERIFY_EXCEPTION_THROWN(ergo::synthesise(request), ergo::Error);
    request.dtype = ergo::DType::f32;
    request.preset = "moa-1999";
    QVERIFY_EXCEPTION_THROWN(ergo::synthesise(request), ergo::Error);
    ergo::CancelToken cancel;
    cancel.cancel();
    QVERIFY_EXCEPTION_THROWN(ergo::synthesise(request_for(cases()[0]), {}, cancel), ergo::Error);
}

QTEST_GUILESS_MAIN(TestSynth)
#include "test_synth.moc"
