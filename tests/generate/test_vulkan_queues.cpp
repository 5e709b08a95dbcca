// SPDX-License-Identifier: GPL-3.0-or-later
// Captures by way of a queue that only copies: the software device, made to look as if it had one, shows its
// readers the same bits as with its one queue, and is asked for nothing that such a queue cannot do. With the
// validation layer on what the driver sees.
#include "engine/generate/session.h"
#include "engine/model/lens_set.h"
#include "tests/generate/support_devices.h"
#include "tests/generate/support_two_queues.h"

#include <QTest>

#include <cstring>
#include <optional>

using namespace ergo;
using namespace ergo::test;

namespace {

struct Shown {
    std::vector<Frame> frames;
    std::vector<float> logits; // of all steps, one after the other
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// A prompt, tokens with an intervention in the middle, a step back and on from there.
Shown write(const std::shared_ptr<const OpenedModel>& opened, const std::string& param) {
    Shown shown;
    Session session(opened);
    std::vector<Subscription> wanted;
    for (const std::string& name : lens_observables(opened->model->info(), 0)) {
        wanted.push_back({find_observable(opened->model->observables(), name), {}});
    }
    session.subscribe(wanted, [&](Frame&& frame) { shown.frames.push_back(std::move(frame)); });
    session.let_frames_lag(true);
    const auto keep = [&] {
        shown.logits.insert(shown.logits.end(), session.logits().begin(), session.logits().end());
    };
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < 21; ++i) {
        ids.push_back(30 + i % 50);
    }
    session.set_tokens(ids, {}, {});
    keep();
    const auto& params = opened->model->tables()->params;
    for (std::int32_t t = 0; t < 10; ++t) {
        for (std::size_t i = 0; t == 4 && i < params.size(); ++i) {
            if (params[i].name.ends_with(param)) {
                std::vector<float> values(params[i].values);
                for (float& value : values) {
                    value = 2 * value + 0.5f;
                }
                session.set_param(ParamId{static_cast<std::int32_t>(i)}, values);
            }
        }
        if (t == 7) {
            session.rewind(session.length() - 3);
        }
        session.decode(40 + t, {});
        keep();
    }
    session.let_frames_lag(false);
    return shown;
}

} // namespace

class QueuesTest : public QObject {
    Q_OBJECT
    std::vector<std::string> messages_;

    /// `model` as it was opened on the CPU, on the software device.
    std::shared_ptr<const OpenedModel> on_device(const OpenedModel& model, TwoQueues* queues) {
        VulkanOptions options;
        options.validation = true;
        options.on_validation = [this](const std::string& message) { messages_.push_back(message); };
        options.always_stage = true; // else the host reads the device's memory and nothing is copied
        if (queues) {
            queues->add_to(options);
        }
        const auto devices = vulkan_devices();
        for (std::size_t i = 0; i < devices.size(); ++i) {
            if (devices[i].software) {
                auto opened = std::make_shared<OpenedModel>(model);
                opened->loaded.reset();
                opened->backend = make_vulkan_backend(static_cast<int>(i), options);
                opened->loaded = opened->backend->load(opened->model->tables(), {}, {});
                return opened;
            }
        }
        return {};
    }

  private slots:
    void the_same_bits_as_with_one_queue_data() {
        QTest::addColumn<QString>("demo");
        QTest::addColumn<QString>("param");
        QTest::addColumn<bool>("late");
        for (const bool late : {false, true}) {
            const char* when = late ? "late" : "at once";
            QTest::addRow("moa, %s", when) << "demo:moa"
                                           << "router.temperature" << late;
            QTest::addRow("kotodama, %s", when) << "demo:kotodama"
                                                << "" << late; // all parameters
            QTest::addRow("gravity, %s", when) << "demo:gravity"
                                               << "" << late;
        }
    }
    void the_same_bits_as_with_one_queue() {
        QFETCH(QString, demo);
        QFETCH(QString, param);
        QFETCH(bool, late);
        const auto model = open_all(demo.toStdString(), on("cpu"), {}, {});
        Shown one, two;
        if (const auto opened = on_device(*model, nullptr)) {
            one = write(opened, param.toStdString());
        } else {
            QFAIL("there is no software Vulkan device: install mesa-vulkan-drivers");
        }
        TwoQueues queues(late);
        {
            const auto opened = on_device(*model, &queues);
            const auto features = opened->backend->info().features;
            QVERIFY(std::find(features.begin(), features.end(), "a queue for copies") != features.end());
            two = write(opened, param.toStdString());
        }
        for (const std::string& violation : queues.violations) {
            qWarning("%s", violation.c_str());
        }
        QCOMPARE(queues.violations.size(), std::size_t(0));
        QCOMPARE(queues.submitted, std::size_t(10)); // one a token
        QVERIFY(queues.copies >= queues.submitted);
        QVERIFY(queues.waited == (late ? queues.submitted : 0));
        QVERIFY(same_bits(one.logits, two.logits));
        QCOMPARE(one.frames.size(), two.frames.size());
        for (std::size_t i = 0; i < one.frames.size(); ++i) {
            const Frame &a = one.frames[i], &b = two.frames[i];
            QVERIFY(a.position == b.position && a.rows == b.rows && a.captures.size() == b.captures.size());
            QVERIFY(!a.captures.empty());
            for (std::size_t c = 0; c < a.captures.size(); ++c) {
                QVERIFY(a.captures[c].shape == b.captures[c].shape);
                QVERIFY(same_bits(a.captures[c].values, b.captures[c].values));
            }
        }
    }

    void cleanupTestCase() {
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }
};

QTEST_GUILESS_MAIN(QueuesTest)
#include "test_vulkan_queues.moc"
