# SPDX-License-Identifier: GPL-3.0-or-later
# Everything that reads bytes from strangers, compiled once more under the address and undefined-behaviour
# sanitizers, so that every test run replays the fuzzers' corpora and cut files under them (tests/fuzz). Not
# optimised: that takes less time than it saves.
set(parsers)
foreach(folder checkpoint tokenizer template)
  file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
  list(APPEND parsers ${found})
endforeach()
list(FILTER parsers EXCLUDE REGEX "_writer\\.cpp$|/(digest|licence|deterministic)\\.cpp$") # these read nothing
list(APPEND parsers base/strict_json.cpp model/moa/config.cpp model/kotodama/config.cpp model/qwen2/config.cpp
     model/qwen2/masses.cpp model/qwen2/mass_source.cpp generate/generation_defaults.cpp
     generate/metadata_tokenizer.cpp)
set(checked -O0 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
    -D_GLIBCXX_ASSERTIONS)
add_library(ergo_checked OBJECT EXCLUDE_FROM_ALL ${parsers})
target_link_libraries(ergo_checked PRIVATE ergo::generate nlohmann_json::nlohmann_json ZLIB::ZLIB PkgConfig::ZSTD
                      OpenSSL::Crypto PkgConfig::PCRE2 PkgConfig::UTF8PROC)
target_compile_options(ergo_checked PUBLIC ${checked})
target_link_options(ergo_checked PUBLIC -fsanitize=address,undefined)
