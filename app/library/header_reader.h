// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a model's headers away from the GUI thread: what it is, what it needs, what does not fit. First what
// the headers say, then what takes longer (tokenizer, licence). The GUI thread owns the reader.
#pragma once

#include "app/library/run_types.h"
#include "app/library/tensor_model.h"
#include "engine/base/error.h"
#include "engine/checkpoint/digest.h"
#include "engine/checkpoint/licence.h"
#include "engine/generate/memory_plan.h"
#include "engine/model/model.h"

#include <QObject>
#include <QString>

namespace ergosphere {

/// What a card is about: a model, and the parts that are given to it from other places.
struct CardRequest {
    CardRequest(QString of, std::vector<ergo::Attachment> with = {},
                std::shared_ptr<const ergo::Checkpoint> opened = {})
        : source(std::move(of)), parts(std::move(with)), checkpoint(std::move(opened)) {}

    CardRequest(const char* of) : CardRequest(QString(of)) {}

    QString source;
    std::vector<ergo::Attachment> parts;
    std::shared_ptr<const ergo::Checkpoint> checkpoint; ///< open already; null: not yet
    std::optional<RunTypes> types{};                    ///< chosen on the card; nullopt: last time's
};

/// What a model card shows. Plain values; the shared parts are never changed.
struct ModelHeaders {
    QString source, name;
    bool opens = false;             ///< the model can be loaded as it is
    bool opens_anyway = false;      ///< it could be if a person insists
    ergo::OpenOptions insisting;    ///< with what: tensors that no role claims left out, gravity given up
    ergo::ModelInfo info;           ///< when it opens, one way or the other
    bool more = false;              ///< tokenizer and licence have been read too
    QString tokenizer, chat_format; ///< "byte-level BPE · 32,000 tokens", "DiscoverLM"; empty: none
    QString tokenizer_problem;      ///< why there is none although files are there
    QStringList tokenizer_notes;    ///< what is odd about how it fits the model
    ergo::Licence licence;
    std::shared_ptr<const ergo::MemoryPlanner> planner; ///< null without a model
    std::vector<ergo::MemoryHost> hosts;                ///< the CPU alone; others come later
    std::int64_t context = 0;
    std::uint64_t weight_bytes = 0;
    std::vector<ergo::FileOnDisk> files;
    std::int64_t stored_parameters = 0;
    QStringList warnings;
    QString problem;                                    ///< why it does not open: the whole report
    std::shared_ptr<const ergo::Checkpoint> checkpoint; ///< null: no container could be opened
    std::shared_ptr<const ergo::Model> model;           ///< null: it fits no family
    std::shared_ptr<const TensorOutline> outline;       ///< null without a checkpoint
};

/// What the headers say. Any thread, throws nothing. Only compressed files take time; cancelled, they are a
/// problem like another.
ModelHeaders readHeaders(const CardRequest& request, const ergo::Progress& progress = {},
                         const ergo::CancelToken& cancel = {});
/// Adds tokenizer and licence.
void readMore(ModelHeaders& headers);

class HeaderReader : public QObject {
    Q_OBJECT

  public:
    explicit HeaderReader(QObject* parent = nullptr) : QObject(parent) {}
    ~HeaderReader() override { cancel_.cancel(); }
    /// The answers come as headers(), then more(), then devices(), unless the reader is gone by then.
    void read(const CardRequest& request);

  signals:
    void progress(const QString& what, double done, double total);
    void headers(const ergosphere::ModelHeaders& headers);
    void more(const ergosphere::ModelHeaders& headers);
    /// Where the model could run, the CPU first.
    void devices(const std::vector<ergo::MemoryHost>& hosts);

  private:
    ergo::CancelToken cancel_;
};

} // namespace ergosphere

Q_DECLARE_METATYPE(ergosphere::ModelHeaders)
