// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/error.h"

/// Whether `action` throws an Error of that kind.
template <class Action> bool refused(Action action, ergo::ErrorKind kind) {
    try {
        action();
    } catch (const ergo::Error& e) {
        return e.kind() == kind;
    }
    return false;
}
