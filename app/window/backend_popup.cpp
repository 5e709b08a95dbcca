// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/backend_popup.h"

#include "app/library/model_card.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QButtonGroup>
#include <QCoreApplication>
#include <QGridLayout>
#include <QLabel>
#include <QPointer>
#include <QPushButton>
#include <QRadioButton>
#include <QRegularExpression>
#include <QThreadPool>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

QString text(const std::string& s) {
    return QString::fromStdString(s);
}

} // namespace

QString deviceKindText(ergo::DeviceKind kind) {
    switch (kind) {
    case ergo::DeviceKind::discrete_gpu:
        return BackendPopup::tr("discrete GPU");
    case ergo::DeviceKind::integrated_gpu:
        return BackendPopup::tr("integrated GPU");
    case ergo::DeviceKind::virtual_gpu:
        return BackendPopup::tr("GPU of a virtual machine");
    case ergo::DeviceKind::software:
        return BackendPopup::tr("software device, slow, for tests");
    case ergo::DeviceKind::cpu:
        return BackendPopup::tr("processor");
    case ergo::DeviceKind::other:
        break;
    }
    return BackendPopup::tr("device of another kind");
}

namespace {

QString kindText(const QString& english) {
    for (const ergo::DeviceKind kind :
         {ergo::DeviceKind::discrete_gpu, ergo::DeviceKind::integrated_gpu, ergo::DeviceKind::virtual_gpu,
          ergo::DeviceKind::software, ergo::DeviceKind::other}) {
        if (english == text(ergo::device_kind_text(kind))) {
            return deviceKindText(kind);
        }
    }
    return english;
}

// "Card has no room: 9.1 GB are needed for 4096 tokens, 4.0 GB can be had"
QString obstacleText(const QString& part) {
    static const QRegularExpression by_name("^(.*) is an? (.*), taken only by name$"),
        unusable("^(.*) cannot be used: (.*)$"),
        full("^(.*) has no room: (.*) are needed for (\\d+) tokens, (.*) can be had$");
    if (const auto found = by_name.match(part); found.hasMatch()) {
        return BackendPopup::tr("%1 is only taken by name (%2)")
            .arg(found.captured(1), kindText(found.captured(2)));
    }
    if (const auto found = unusable.match(part); found.hasMatch()) {
        return BackendPopup::tr("%1 cannot be used (%2)").arg(found.captured(1), found.captured(2));
    }
    if (const auto found = full.match(part); found.hasMatch()) {
        return BackendPopup::tr("%1 has no room (%2 needed for %3 tokens, %4 there)")
            .arg(found.captured(1), found.captured(2), found.captured(3), found.captured(4));
    }
    return part;
}

} // namespace

QString choiceText(const ergo::BackendChoice& choice) {
    static const QRegularExpression room("^(.*) is an? (.*) with room for it\\.$"),
        none("^No GPU is taken: (.*)\\.$"),
        measured("Measured: (.*) reads ([0-9.]+) and writes ([0-9.]+) tokens/s, the CPU ([0-9.]+) and "
                 "([0-9.]+)\\.$"),
        compiling("^The CPU answers until the kernels of (.*) are compiled\\.$");
    const QString reason = text(choice.reason);
    if (reason == "There is no Vulkan device on this machine.") {
        return BackendPopup::tr("There is no Vulkan device on this machine.");
    }
    if (reason == "It was asked for by name.") {
        return BackendPopup::tr("It was asked for by name.");
    }
    if (const auto found = measured.match(reason); found.hasMatch()) {
        return BackendPopup::tr("%1 reads %2 and writes %3 tokens/s, the CPU %4 and %5.")
            .arg(found.captured(1), found.captured(2), found.captured(3), found.captured(4),
                 found.captured(5));
    }
    if (const auto found = compiling.match(reason); found.hasMatch()) {
        return BackendPopup::tr("The CPU answers until the kernels of %1 are compiled.")
            .arg(found.captured(1));
    }
    if (const auto found = room.match(reason); found.hasMatch()) {
        return BackendPopup::tr("%1 has room for it (%2).")
            .arg(found.captured(1), kindText(found.captured(2)));
    }
    if (const auto found = none.match(reason); found.hasMatch()) {
        QStringList parts;
        for (const QString& part : found.captured(1).split("; ")) {
            parts << obstacleText(part);
        }
        return BackendPopup::tr("No GPU is taken: %1.").arg(parts.join("; "));
    }
    return reason;
}

BackendPopup::BackendPopup(std::shared_ptr<const ergo::OpenedModel> opened, QWidget* parent)
    : QFrame(parent, Qt::Popup), opened_(std::move(opened)) {
    setObjectName("backend_popup");
    setAttribute(Qt::WA_DeleteOnClose);
    setFrameShape(QFrame::StyledPanel);
    setAccessibleName(tr("Backend"));
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(16, 12, 16, 12);
    auto* title = new QLabel(text(ergo::device_text(*opened_)));
    title->setFont(titleFont());
    title->setWordWrap(true);
    column->addWidget(title);
    addFacts(column);
    auto* switch_title = new QLabel(tr("Run it on, from the next token:"));
    switch_title->setForegroundRole(QPalette::PlaceholderText);
    column->addSpacing(6);
    column->addWidget(switch_title);
    choices_ = new QVBoxLayout;
    choices_->setSpacing(4);
    column->addLayout(choices_);
    group_ = new QButtonGroup(this);
    searching_ = new QLabel(tr("Looking for devices…"));
    choices_->addWidget(searching_);
    auto* developer = new QPushButton(tr("Diagnostics and timings…"));
    developer->setObjectName("developer_button");
    column->addSpacing(6);
    column->addWidget(developer, 0, Qt::AlignLeft);
    connect(developer, &QPushButton::clicked, this, [this] {
        close();
        emit developerRequested();
    });
    // Asking the drivers takes longer than a frame.
    QThreadPool::globalInstance()->start([self = QPointer(this)] {
        std::vector<ergo::DeviceInfo> devices = ergo::all_devices();
        QMetaObject::invokeMethod(qApp, [self, devices = std::move(devices)] {
            if (self) {
                self->addChoices(devices);
            }
        });
    });
}

void BackendPopup::addFacts(QVBoxLayout* column) {
    const ergo::DeviceInfo device = opened_->backend->info();
    QList<QPair<QString, QString>> facts{{tr("Kind"), deviceKindText(device.kind)}};
    if (!device.driver.empty()) {
        facts.append({tr("Driver"), text(device.driver)});
    }
    const QString all = byteText(device.memory_bytes);
    facts.append({tr("Memory"), device.available_bytes > 0
                                    ? tr("%1, %2 of it free").arg(all, byteText(device.available_bytes))
                                    : all});
    facts.append({tr("Taken by the model"), byteText(opened_->memory.total())});
    QStringList features;
    for (const std::string& feature : device.features) {
        features << featureText(feature);
    }
    facts.append({tr("Features"), features.join(", ")});
    facts.append({tr("Why this one"), choiceText(opened_->choice)});
    constexpr int value_width = 300;
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(16);
    grid->setVerticalSpacing(4);
    for (int i = 0; i < facts.size(); ++i) {
        auto* name = new QLabel(facts[i].first);
        name->setForegroundRole(QPalette::PlaceholderText);
        auto* value = new QLabel(facts[i].second);
        value->setWordWrap(true);
        value->setFixedWidth(value_width);
        value->setMinimumHeight(value->heightForWidth(value_width)); // layouts give a long text one line
        value->setTextInteractionFlags(Qt::TextSelectableByMouse);
        grid->addWidget(name, i, 0, Qt::AlignTop);
        grid->addWidget(value, i, 1);
    }
    column->addSpacing(4);
    column->addLayout(grid);
}

void BackendPopup::addChoices(const std::vector<ergo::DeviceInfo>& devices) {
    searching_->hide();
    addChoice("auto", tr("Choose by itself"), tr("A GPU with room for the model, else the CPU"), true);
    int vulkan = 0;
    for (const ergo::DeviceInfo& device : devices) {
        const bool usable = device.unusable.empty();
        const QString name = device.backend == "cpu" ? tr("CPU") : text(device.name);
        const QString backend = device.backend == "cpu" ? QString("cpu") : QString("vulkan:%1").arg(vulkan++);
        addChoice(backend, QString("%1 (%2)").arg(name, deviceKindText(device.kind)),
                  usable ? text(device.driver) : text(device.unusable), usable);
    }
    if (vulkan > 0) {
        addChoice("hybrid", tr("Both"),
                  tr("One reads prompts and the other writes, in the order that a short measurement finds "
                     "faster"),
                  true);
    }
    adjustSize();
}

void BackendPopup::addChoice(const QString& backend, const QString& label, const QString& tip, bool enabled) {
    auto* button = new QRadioButton(label);
    button->setObjectName("backend_" + backend);
    button->setToolTip(tip);
    button->setEnabled(enabled);
    button->setChecked(text(opened_->options.backend) == backend ||
                       (backend != "auto" && opened_->options.backend != "auto" &&
                        text(opened_->choice.backend) == backend));
    group_->addButton(button);
    choices_->addWidget(button);
    connect(button, &QRadioButton::clicked, this, [this, backend] {
        close();
        emit chosen(backend);
    });
}

void BackendPopup::showBelow(QWidget* anchor) {
    adjustSize();
    move(anchor->mapToGlobal(QPoint(0, anchor->height() + 2)));
    show();
    findChild<QPushButton*>("developer_button")->setFocus(Qt::PopupFocusReason);
}

} // namespace ergosphere
