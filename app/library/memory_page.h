// SPDX-License-Identifier: GPL-3.0-or-later
// The model card's page of memory: what a context takes, item by item, on every device of this machine. GUI
// thread.
#pragma once

#include "app/library/header_reader.h"
#include "app/library/run_types_panel.h"

#include <QWidget>

class QGridLayout;
class QLabel;
class QSpinBox;

namespace ergosphere {

class MemoryPage : public QWidget {
    Q_OBJECT

  public:
    /// `headers` have a model. `chosen`: what it was run as last.
    explicit MemoryPage(const ModelHeaders& headers, const RunTypes& chosen = {}, QWidget* parent = nullptr);
    /// Further devices have been found.
    void setHosts(const std::vector<ergo::MemoryHost>& hosts);
    /// The context asked for; 0: the model's own.
    qint64 context() const;
    RunTypes types() const { return types_->types(); }
    /// The page as text.
    QString report() const;

  private:
    void layOut();
    void plan();
    bool holds(const ergo::MemoryHost& host) const;
    ergo::MemoryPlan planOf(const ergo::MemoryHost& host) const;

    std::shared_ptr<const ergo::MemoryPlanner> planner_;
    std::vector<ergo::MemoryHost> hosts_;
    qint64 own_context_ = 0;
    QSpinBox* context_ = nullptr;
    RunTypesPanel* types_ = nullptr;
    QWidget* table_ = nullptr;
    QLabel* advice_ = nullptr;
    std::vector<std::vector<QLabel*>> values_; // [host][item …, total, available]
};

} // namespace ergosphere
