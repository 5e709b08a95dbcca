// SPDX-License-Identifier: GPL-3.0-or-later
// What `--backend auto` takes of made-up machines, and what it says about it.
#include "engine/generate/backend_choice.h"
#include "engine/generate/opened_model.h"

#include <QTest>

using namespace ergo;

namespace {

DeviceInfo device(const char* name, DeviceKind kind, const char* unusable = "") {
    DeviceInfo info;
    info.backend = "vulkan";
    info.name = name;
    info.kind = kind;
    info.software = kind == DeviceKind::software;
    info.unusable = unusable;
    return info;
}

const DeviceInfo software = device("llvmpipe", DeviceKind::software);
const DeviceInfo onboard = device("Onboard", DeviceKind::integrated_gpu);
const DeviceInfo card = device("Card", DeviceKind::discrete_gpu);
const DeviceInfo guest = device("Guest", DeviceKind::virtual_gpu);
const DeviceInfo old = device("Old card", DeviceKind::discrete_gpu, "no timeline semaphores");

} // namespace

class BackendChoiceTest : public QObject {
    Q_OBJECT

  private slots:
    void takes_data() {
        QTest::addColumn<QVector<int>>("machine"); // of `all`
        QTest::addColumn<int>("full");             // which has no room, -1: none
        QTest::addColumn<QString>("taken");
        QTest::addColumn<QString>("said");
        const auto row = [](const char* name, QVector<int> machine, int full, const char* taken,
                            const char* said) { QTest::newRow(name) << machine << full << taken << said; };
        row("nothing", {}, -1, "cpu", "no Vulkan device");
        row("software only", {0}, -1, "cpu", "llvmpipe is a software device, taken only by name");
        row("virtual only", {3}, -1, "cpu", "Guest is a GPU of a virtual machine, taken only by name");
        row("integrated", {0, 1}, -1, "vulkan:1", "Onboard is an integrated GPU with room");
        row("discrete before integrated", {1, 0, 2}, -1, "vulkan:2", "Card is a discrete GPU with room");
        row("the first of two", {2, 2}, -1, "vulkan:0", "Card");
        row("no room on the discrete one", {2, 1}, 0, "vulkan:1", "Onboard");
        row("no room at all", {2}, 0, "cpu", "Card has no room: 9 GB are needed");
        row("unusable", {4}, -1, "cpu", "Old card cannot be used: no timeline semaphores");
        row("unusable before usable", {4, 1}, -1, "vulkan:1", "Onboard");
    }
    void takes() {
        QFETCH(QVector<int>, machine);
        QFETCH(int, full);
        QFETCH(QString, taken);
        QFETCH(QString, said);
        const std::vector<DeviceInfo> all{software, onboard, card, guest, old};
        std::vector<DeviceInfo> devices;
        for (const int i : machine) {
            devices.push_back(all[static_cast<std::size_t>(i)]);
        }
        const BackendChoice choice = choose_backend(devices, [&](std::size_t i) {
            return static_cast<int>(i) == full ? std::string("has no room: 9 GB are needed") : std::string();
        });
        QCOMPARE(QString::fromStdString(choice.backend), taken);
        QVERIFY2(QString::fromStdString(choice.reason).contains(said), choice.reason.c_str());
    }

    /// The same through opening a model: this machine's own devices decide.
    void a_model_says_what_runs_it() {
        const auto chosen = open_all("demo:moa", {}, {}, {});
        QCOMPARE(chosen->choice.backend.substr(0, 3), chosen->backend->info().backend.substr(0, 3));
        QVERIFY(!chosen->backend->info().software);
        QVERIFY(chosen->choice.reason.ends_with("."));
        OpenModelOptions options;
        options.backend = "cpu";
        const auto named = open_all("demo:moa", options, {}, {});
        QCOMPARE(named->choice.backend, std::string("cpu"));
        QVERIFY(named->choice.reason.find("by name") != std::string::npos);
        const auto elsewhere = open_elsewhere(*named, {"reference"}, "To compare.", {}, {});
        QCOMPARE(elsewhere->backend->info().backend, std::string("reference"));
        QCOMPARE(elsewhere->choice.reason, std::string("To compare."));
        QCOMPARE(elsewhere->context, named->context);
        QCOMPARE(elsewhere->model, named->model);
    }
};

QTEST_GUILESS_MAIN(BackendChoiceTest)
#include "test_backend_choice.moc"
