// SPDX-License-Identifier: GPL-3.0-or-later
// How the next token is chosen: a preset of the model's family with its reason, and every knob. GUI thread.
#pragma once

#include "engine/generate/generation_defaults.h"
#include "engine/generate/sampler.h"

#include <QWidget>

#include <vector>

class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QLineEdit;
class QSpinBox;

namespace ergosphere {

class SamplingPanel : public QWidget {
    Q_OBJECT

  public:
    explicit SamplingPanel(QWidget* parent = nullptr);

    /// The presets of a model (what its makers advise, then its family's); the first is applied.
    void setModel(const std::string& family, const ergo::GenerationDefaults& defaults);
    ergo::SamplingParams params() const;
    void setParams(const ergo::SamplingParams& params);
    qint64 maxTokens() const;
    QString systemPrompt() const;
    void setSystemPrompt(const QString& text);
    /// Raw completion has no system prompt.
    void setSystemPromptAvailable(bool available);
    /// "Greedy", "Temperature 0.8 · top-p 0.95"
    QString summary() const;

  signals:
    void changed();

  private:
    void makeFields();
    void layOut();
    void applyPreset(int index);
    void edited();

    std::vector<ergo::SamplingPreset> presets_;
    QComboBox* preset_;
    QLabel* reason_;
    QDoubleSpinBox *temperature_, *top_p_, *min_p_, *repeat_penalty_;
    QSpinBox *top_k_, *max_tokens_;
    QLineEdit *seed_, *system_;
    bool applying_ = false;
};

} // namespace ergosphere
