// SPDX-License-Identifier: GPL-3.0-or-later
// Memory of mapped files that is not needed any more. Any thread.
#pragma once

#include <cstddef>
#include <span>

namespace ergo {

/// For bytes of a file that have been copied elsewhere: their memory goes back to the system at once, instead
/// of counting as this program's until it is short. Read again, they come from the file. Does nothing for
/// bytes that lie in no registered mapping, or across its end. Call it while the mapping lives.
void release_pages(std::span<const std::byte> bytes);

/// For whoever registers mappings and so knows which bytes are a file's: what release_pages does from now on.
void set_page_release(void (*release)(std::span<const std::byte> bytes));

} // namespace ergo
