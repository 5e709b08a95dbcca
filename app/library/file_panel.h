// SPDX-License-Identifier: GPL-3.0-or-later
// The files of a checkpoint: sizes, SHA-256 (computed in the background, remembered), licence text. GUI
// thread.
#pragma once

#include "app/library/header_reader.h"

#include <QWidget>

#include <memory>
#include <mutex>

class QLabel;
class QPlainTextEdit;
class QVBoxLayout;

namespace ergosphere {

class BackgroundJob;
class ProgressRow;

class FilePanel : public QWidget {
    Q_OBJECT

  public:
    explicit FilePanel(const ModelHeaders& headers, QWidget* parent = nullptr);
    ~FilePanel() override; ///< cancels what is being computed

    void setLicence(const ergo::Licence& licence);
    /// Digests as far as they are known, in the order of the files.
    QStringList digests() const;

  signals:
    void digested(); ///< all of them are known

  private:
    struct Work {
        std::mutex mutex;
        std::vector<std::string> digests;
    };
    void start();
    void takeReady();

    std::shared_ptr<const ergo::Checkpoint> checkpoint_;
    std::vector<ergo::FileOnDisk> files_;
    std::shared_ptr<Work> work_;
    std::vector<QLabel*> digest_;
    QLabel* licence_;
    QPlainTextEdit* licence_text_;
    ProgressRow* progress_;
    BackgroundJob* job_ = nullptr;
};

} // namespace ergosphere
