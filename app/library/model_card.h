// SPDX-License-Identifier: GPL-3.0-or-later
// What a model is, from its headers alone, before anything is loaded; Load, Load anyway, or the reason it
// can't. GUI thread.
#pragma once

#include "app/library/header_reader.h"

#include <QDialog>

class QDialogButtonBox;
class QLabel;
class QPlainTextEdit;
class QVBoxLayout;

namespace ergosphere {

class ModelCard : public QDialog {
    Q_OBJECT

  public:
    /// Begins to read at once; shows itself as soon as there is something to show.
    ModelCard(const QString& source, QWidget* parent);
    /// The text a person can select and copy: the report, or what the card says.
    QString reportText() const;
    /// A card for a failure that came later, while loading.
    static ModelCard* forFailure(const QString& source, const QString& report, QWidget* parent);

  signals:
    void loadRequested(const QString& source, bool allow_unused);
    void ready(); ///< the headers have been read

  private:
    struct NoReading {};
    ModelCard(NoReading, const QString& source, QWidget* parent);
    void fill(const ModelHeaders& headers);
    void fillModel(const ModelHeaders& headers);
    void fillProblem(const ModelHeaders& headers);
    void addFacts(const QString& title, const QList<QPair<QString, QString>>& rows, bool numbers);
    void addNotes(const QString& title, const QStringList& notes);

    QString source_, report_;
    HeaderReader reader_;
    QVBoxLayout* column_ = nullptr;
    QLabel *title_ = nullptr, *subtitle_ = nullptr;
    QPlainTextEdit* text_ = nullptr;
    QDialogButtonBox* buttons_ = nullptr;
};

/// "231 kB", "4.3 MB", "1.2 GB" (powers of 1000)
QString byteText(std::uint64_t bytes);
/// With a capital letter and a full stop, whatever it came with.
QString sentence(const std::string& text);
/// "2,134,016 (2.1 M)"
QString countText(std::int64_t count);

} // namespace ergosphere
