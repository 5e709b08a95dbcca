# SPDX-License-Identifier: GPL-3.0-or-later
# Run as a script while building: writes OUT, which defines kernel_hash() (backend/cpu/kernel_hash.h) from FILES and
# COMPILER.
set(all "${COMPILER}")
foreach(file IN LISTS FILES)
  file(SHA256 ${file} hash)
  string(APPEND all "\n${hash}")
endforeach()
string(SHA256 hash "${all}")
file(WRITE ${OUT} "#include \"engine/backend/cpu/kernel_hash.h\"
std::string_view ergo::cpu::kernel_hash() {
    return \"${hash}\";
}
")
