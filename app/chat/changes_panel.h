// SPDX-License-Identifier: GPL-3.0-or-later
// What is changed in the open model, by the names that `ergo --set` has: a list, one line to add to it, the
// way back, and recipes. Knows no model but its names; the window does what is asked. GUI thread.
#pragma once

#include "engine/generate/opened_model.h"

#include <QStringList>
#include <QWidget>

#include <functional>
#include <memory>

class QComboBox;
class QLabel;
class QLineEdit;
class QListWidget;
class QPushButton;

namespace ergosphere {

class ChangesPanel : public QWidget {
    Q_OBJECT

  public:
    explicit ChangesPanel(QWidget* parent = nullptr);

    /// Its parameters and knobs are offered by name; null: none.
    void setModel(std::shared_ptr<const ergo::OpenedModel> opened);
    void setChanges(const QStringList& changes);
    const QStringList& changes() const { return changes_; }
    /// What is wrong with what was asked for; empty: nothing.
    void setProblem(const QString& text);
    QString problem() const;

  signals:
    void requested(const QStringList& changes); ///< the whole list, as it is to be
    void openRecipeRequested();
    void saveRecipeRequested();

  protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

  private:
    void add();
    void remove();
    void showValues();
    void updateButtons();

    std::shared_ptr<const ergo::OpenedModel> opened_;
    QStringList changes_;
    QComboBox *name_, *how_;
    QLineEdit* value_;
    QLabel *now_, *problem_;
    QListWidget* list_;
    QPushButton *add_, *remove_, *reset_, *open_, *save_;
};

} // namespace ergosphere
