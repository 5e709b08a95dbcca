// SPDX-License-Identifier: GPL-3.0-or-later
// What a backend says that it holds a type as, against the memory that such a matrix then takes.
#include "engine/backend/reference/reference_backend.h"
#include "tests/backend/support_grouped.h"
#ifdef ERGO_HAS_VULKAN
#include "tests/backend/support_vulkan.h"
#endif

#include <QtTest>

#include <memory>

using namespace ergo;
using namespace ergo::test;

namespace {

constexpr std::int64_t outputs = 64, inputs = 512;

std::uint64_t bytes_held(Backend& backend, DType type) {
    Case test;
    if (is_grouped(type)) {
        test.tables.add_weight("w", grouped_of(type, outputs, inputs, test));
    } else if (is_quantised(type)) {
        test.tables.add_weight("w", blocks_of(type, outputs, inputs, test));
    } else { // as a file has them: what is made here is not packed
        test.weight({outputs, inputs}, type, false);
    }
    const auto tables = std::make_shared<const Tables>(test.tables);
    return backend.load(tables, {}, {})->weight_bytes();
}

} // namespace

class TestHeldTypes : public QObject {
    Q_OBJECT

  private slots:
    void a_matrix_takes_what_its_type_does_data() {
        QTest::addColumn<std::shared_ptr<Backend>>("backend");
        QTest::newRow("cpu") << make_cpu_backend(1);
#ifdef ERGO_HAS_VULKAN
        const int device = software_device();
        QVERIFY2(device >= 0, no_driver);
        QTest::newRow("vulkan") << make_vulkan_backend(device);
#endif
    }
    void a_matrix_takes_what_its_type_does() {
        QFETCH(std::shared_ptr<Backend>, backend);
        const std::uint64_t halves = bytes_held(*backend, DType::f16);
        QCOMPARE(halves, std::uint64_t{outputs * inputs * 2});
        for (int i = 0; i <= static_cast<int>(DType::q4); ++i) {
            const auto type = static_cast<DType>(i);
            if (!is_weight_type(type)) {
                continue;
            }
            const DType held = backend->held_as(type);
            const QByteArray words =
                QByteArray(dtype_name(type).data()) + " as " + QByteArray(dtype_name(held).data());
            QVERIFY2(bytes_held(*backend, type) == bytes_held(*backend, held), words);
            QVERIFY2(backend->held_as(held) == held, words);
            if (is_quantised(type)) { // as it is, or 16 bits a number
                QVERIFY2((held == type) == (bytes_held(*backend, type) < halves), words);
            } else {
                QVERIFY2(held == (type == DType::f64 ? DType::f32 : type), words);
            }
        }
    }

    void the_reference_holds_floats() {
        const auto backend = make_reference_backend();
        for (const DType type : {DType::f64, DType::bf16, DType::q8_0, DType::q6_k, DType::q4}) {
            QVERIFY(backend->held_as(type) == DType::f32);
        }
    }
};

QTEST_GUILESS_MAIN(TestHeldTypes)
#include "test_held_types.moc"
