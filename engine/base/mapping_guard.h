// SPDX-License-Identifier: GPL-3.0-or-later
// What happens when a mapped file loses bytes that somebody reads: a file shortened on a local disk, a
// network drive that goes away. The system then sends SIGBUS, which ends a program. With the guard installed,
// a fault inside a registered mapping gives zeros instead (from the page touched to the mapping's end) and
// marks the mapping as damaged; whoever reads asks afterwards (MappedFile::check_unchanged,
// Checkpoint::check_unchanged) and fails with F-IO. A fault elsewhere does what it did before. Registering
// works without the guard and costs nothing. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ergo {

/// Takes over SIGBUS for this process; for `main`, before threads start. Calling it again changes nothing.
void install_mapping_guard();

/// For bytes of a file that have been copied elsewhere: their memory goes back to the system at once, instead
/// of counting as this program's until it is short. Read again, they come from the file. Does nothing for
/// bytes that lie in no registered mapping, or across its end. Any thread, while the mapping lives.
void release_pages(std::span<const std::byte> bytes);

/// A mapping that the guard knows, for as long as this lives. Unmap after it is gone.
class GuardedMapping {
  public:
    /// Throws Error(resources, F-TOO-LARGE) when 16384 mappings are registered already.
    explicit GuardedMapping(std::span<const std::byte> bytes);
    ~GuardedMapping();
    GuardedMapping(const GuardedMapping&) = delete;
    GuardedMapping& operator=(const GuardedMapping&) = delete;

    /// True once bytes were missing: what was read since may be zeros.
    bool damaged() const;

  private:
    std::size_t slot_;
};

} // namespace ergo
