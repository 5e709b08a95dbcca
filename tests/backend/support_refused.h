// SPDX-License-Identifier: GPL-3.0-or-later
// Misuse is refused as that, in words that say what is wrong.
#pragma once

#include "engine/base/error.h"

#include <QtTest>

#include <string>

namespace ergo::test {

/// What is said, if it is an Error(usage).
template <class Call> std::string refusal(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error.kind() == ErrorKind::usage ? error.message() : "another kind: " + error.message();
    }
    return "no refusal";
}

#define REFUSED(call, words)                                                                                 \
    QVERIFY2(QString::fromStdString(test::refusal([&] { call; })).contains(words),                           \
             test::refusal([&] { call; }).c_str())

} // namespace ergo::test
