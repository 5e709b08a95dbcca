// SPDX-License-Identifier: GPL-3.0-or-later
// Qt for a process that draws figures and shows nothing: fonts need an application object, and that needs a
// platform. Whoever draws, on whatever screen, gets the same bytes. One a process, made in its main thread.
#pragma once

#include <QApplication>

#include <memory>

namespace ergosphere {

class Offscreen {
  public:
    /// `name` stands before Qt's own complaints on stderr.
    explicit Offscreen(const char* name);
    ~Offscreen();
    Offscreen(const Offscreen&) = delete;
    Offscreen& operator=(const Offscreen&) = delete;

  private:
    char word_[16] = {};
    char* words_[2] = {word_, nullptr};
    int count_ = 1;
    std::unique_ptr<QApplication> application_;
    QtMessageHandler before_ = nullptr;
};

} // namespace ergosphere
