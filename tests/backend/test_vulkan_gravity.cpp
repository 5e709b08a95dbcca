// SPDX-License-Identifier: GPL-3.0-or-later
// Gravity attention on the software Vulkan device against the reference.
#include "engine/backend/reference/reference_backend.h"
#include "tests/backend/support_gravity.h"
#include "tests/backend/support_vulkan.h"

#include <QtTest>

using namespace ergo;

class TestVulkanGravity : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        const int device = test::software_device();
        QVERIFY2(device >= 0, test::no_driver);
        vulkan_ = make_vulkan_backend(device);
    }

    void same_as_reference_data() {
        QTest::addColumn<int>("variant");
        const auto all = test::gravity_variants();
        for (int i = 0; i < static_cast<int>(all.size()); ++i) {
            QTest::addRow("%s", all[static_cast<std::size_t>(i)].name) << i;
        }
    }

    void same_as_reference() {
        QFETCH(int, variant);
        const auto v = test::gravity_variants()[static_cast<std::size_t>(variant)];
        const auto reference = make_reference_backend();
        QCOMPARE(QString::fromStdString(
                     test::difference(*reference, *vulkan_, test::gravity_case(v), {1, 17, 32, 1, 30})),
                 QString());
    }

    void near_pairs() { QVERIFY(test::NearPairs(true).error(*vulkan_) < 1e-5); }

  private:
    std::shared_ptr<Backend> vulkan_;
};

QTEST_GUILESS_MAIN(TestVulkanGravity)
#include "test_vulkan_gravity.moc"
