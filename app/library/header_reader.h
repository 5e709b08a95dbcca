// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a model's headers away from the GUI thread: what it is, what it needs, what does not fit. The GUI
// thread owns the reader.
#pragma once

#include "engine/base/error.h"
#include "engine/model/model.h"

#include <QObject>
#include <QString>

namespace ergosphere {

/// What a model card shows. Plain values.
struct ModelHeaders {
    QString source, name;
    bool opens = false;             ///< the model can be loaded as it is
    bool opens_with_unused = false; ///< it could be if tensors that no role claims are left out
    ergo::ModelInfo info;           ///< when it opens
    QString tokenizer, chat_format; ///< "byte-level BPE · 32,000 tokens", "DiscoverLM"; empty: none
    QString tokenizer_problem;      ///< why there is none although files are there
    QString licence;                ///< from the model card's front matter or a licence file's first line
    std::vector<ergo::MemoryItem> memory;
    std::int64_t context = 0;
    std::uint64_t weight_bytes = 0;
    qsizetype weight_files = 0;
    std::int64_t stored_parameters = 0;
    QStringList warnings;
    QString problem; ///< why it does not open: the whole report
};

/// Does the work; any thread, throws nothing.
ModelHeaders readHeaders(const QString& source, bool allow_unused);

class HeaderReader : public QObject {
    Q_OBJECT

  public:
    explicit HeaderReader(QObject* parent = nullptr) : QObject(parent) {}
    /// The answer comes as done(), unless the reader is gone by then.
    void read(const QString& source);

  signals:
    void done(const ergosphere::ModelHeaders& headers);
};

} // namespace ergosphere

Q_DECLARE_METATYPE(ergosphere::ModelHeaders)
