// SPDX-License-Identifier: GPL-3.0-or-later
// What a model is, from its headers alone, before anything is loaded: overview, tensors, files, and why it
// was taken for what it is; Load, Load anyway, or the reason it can't. GUI thread.
#pragma once

#include "app/library/header_reader.h"

#include <QDialog>

class QDialogButtonBox;
class QLabel;
class QPlainTextEdit;
class QTabWidget;
class QVBoxLayout;

namespace ergosphere {

class DropOverlay;
class FilePanel;
class MemoryPage;
class ProgressRow;
class TensorPanel;

/// What is asked for with Load.
struct LoadChoice {
    ergo::OpenOptions insisting;                        ///< unless it opens as it is
    qint64 context = 0;                                 ///< 0: the model's own
    std::shared_ptr<const ergo::Checkpoint> checkpoint; ///< open already; null: not yet
    /// From other places; nullopt: those it was last opened with.
    std::optional<std::vector<ergo::Attachment>> parts = std::nullopt;
    std::optional<RunTypes> types = std::nullopt; ///< nullopt: those it was last opened with
};

class ModelCard : public QDialog {
    Q_OBJECT

  public:
    /// Begins to read at once; shows itself as soon as there is something to show.
    ModelCard(const CardRequest& request, QWidget* parent);
    ~ModelCard() override;
    /// The text a person can select and copy: the report, or what the card says.
    QString reportText() const;
    /// A card for a failure that came later, while loading.
    static ModelCard* forFailure(const QString& source, const QString& report, QWidget* parent);

    TensorPanel* tensors() const { return tensors_; } ///< null while there is no checkpoint
    FilePanel* files() const { return files_; }

  signals:
    /// A part was dropped on the card, or all were taken away: another card is wanted, this one is closed.
    void cardRequested(const ergosphere::CardRequest& request);
    void loadRequested(const QString& source, const ergosphere::LoadChoice& choice);
    void ready();    ///< the headers have been read
    void complete(); ///< and the rest

  protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dragLeaveEvent(QDragLeaveEvent* event) override;
    void dropEvent(QDropEvent* event) override;

  private:
    struct NoReading {};
    ModelCard(NoReading, const QString& source, QWidget* parent);
    void fill(const ModelHeaders& headers);
    void fillMore(const ModelHeaders& headers);
    void fillButtons(const ModelHeaders& headers);
    void fillOverview(const ModelHeaders& headers);
    void fillMemory(const ModelHeaders& headers);
    void fillWhy(const ModelHeaders& headers);
    void fillReport(const ModelHeaders& headers);
    QStringList partTexts() const;
    void another(const std::vector<ergo::Attachment>& parts);
    void load(const ergo::OpenOptions& insisting);

    QString source_, report_;
    std::vector<ergo::Attachment> parts_;
    RunTypes types_; ///< chosen before the card was there
    HeaderReader reader_;
    DropOverlay* overlay_ = nullptr;
    QLabel *title_ = nullptr, *subtitle_ = nullptr;
    QTabWidget* tabs_ = nullptr;
    QLabel *tokenizer_ = nullptr, *chat_format_ = nullptr, *licence_ = nullptr;
    MemoryPage* memory_ = nullptr;
    std::shared_ptr<const ergo::Checkpoint> checkpoint_;
    QPlainTextEdit *text_ = nullptr, *why_ = nullptr;
    TensorPanel* tensors_ = nullptr;
    FilePanel* files_ = nullptr;
    ergo::Licence known_licence_;
    bool filled_ = false, more_ = false; ///< all pages are there; tokenizer and licence are known
    ProgressRow* progress_ = nullptr;
    QDialogButtonBox* buttons_ = nullptr;
};

/// "231 kB", "4.3 MB", "1.2 GB" (powers of 1000)
QString byteText(std::uint64_t bytes);
/// "2,134,016 (2.1 M)"
QString countText(std::int64_t count);

} // namespace ergosphere

Q_DECLARE_METATYPE(ergosphere::LoadChoice)
