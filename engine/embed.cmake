# SPDX-License-Identifier: GPL-3.0-or-later
# Compiles files below resources/ and the SPIR-V of shaders/ into a target, found through engine/base/embedded.h.
# The assembler's .incbin is used: it takes megabytes in no time and no memory.
#
# -DGLSLC=… and -DSPIRV_VAL=… name other programs than those found; kernels that need more than Debian 12's glslc knows
# (matmul_coop.comp) are left out where a probe fails.

# Whether both programs know cooperative matrices.
function(ergo_knows_matrices result)
  set(probe ${CMAKE_BINARY_DIR}/shaders/probe_matrices)
  file(WRITE ${probe}.comp "#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(local_size_x = 32) in;
shared f16vec2 tile[128];
shared float sums[256];
void main() {
    coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> a;
    coopMatLoad(a, tile, 0, 8, gl_CooperativeMatrixLayoutRowMajor);
    coopMatStore(coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>(0.0), sums, 0, 16,
                 gl_CooperativeMatrixLayoutRowMajor);
}
")
  execute_process(COMMAND ${GLSLC} --target-env=vulkan1.2 ${probe}.comp -o ${probe}.spv
                  RESULT_VARIABLE problem OUTPUT_QUIET ERROR_QUIET)
  if(NOT problem AND SPIRV_VAL)
    execute_process(COMMAND ${SPIRV_VAL} --target-env vulkan1.2 ${probe}.spv
                    RESULT_VARIABLE problem OUTPUT_QUIET ERROR_QUIET)
  endif()
  if(problem)
    set(${result} FALSE PARENT_SCOPE)
  else()
    set(${result} TRUE PARENT_SCOPE)
  endif()
endfunction()

function(ergo_embed target)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS
       ${PROJECT_SOURCE_DIR}/resources/schemas/*.json
       ${PROJECT_SOURCE_DIR}/resources/gguf/*.json
       ${PROJECT_SOURCE_DIR}/resources/verify/*.json
       ${PROJECT_SOURCE_DIR}/resources/demo/*/*.json
       ${PROJECT_SOURCE_DIR}/resources/demo/*/*.jinja
       ${PROJECT_SOURCE_DIR}/resources/demo/*/README.md
       ${PROJECT_SOURCE_DIR}/resources/demo/*/*.safetensors
       ${PROJECT_SOURCE_DIR}/resources/demo/*/*.pt)
  set(entries)
  foreach(file IN LISTS files)
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/resources ${file})
    list(APPEND entries "${name}|${file}")
  endforeach()

  if(ERGO_VULKAN)
    find_program(GLSLC glslc REQUIRED)
    find_program(SPIRV_VAL spirv-val)
    file(GLOB shaders CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/shaders/*.comp)
    file(GLOB includes CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/shaders/*.glsl)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/shaders)
    # A kernel that goes beyond Vulkan 1.2 is left out where the shader compiler does not know its extension.
    execute_process(COMMAND ${GLSLC} --target-env=vulkan1.2 -I ${PROJECT_SOURCE_DIR}/shaders
                            ${PROJECT_SOURCE_DIR}/shaders/matmul_dot.comp -o ${CMAKE_BINARY_DIR}/shaders/probe.spv
                    RESULT_VARIABLE unknown OUTPUT_QUIET ERROR_QUIET)
    if(unknown)
      message(STATUS "glslc does not know GL_EXT_spirv_intrinsics: no integer dot products")
      list(FILTER shaders EXCLUDE REGEX "/matmul_dot\\.comp$")
    endif()
    ergo_knows_matrices(knows)
    if(NOT knows)
      message(STATUS "glslc or spirv-val does not know GL_KHR_cooperative_matrix: no cooperative matrices")
      list(FILTER shaders EXCLUDE REGEX "/matmul_coop\\.comp$")
    endif()
    foreach(shader IN LISTS shaders)
      get_filename_component(stem ${shader} NAME_WE)
      set(spv ${CMAKE_BINARY_DIR}/shaders/${stem}.spv)
      set(validate)
      if(SPIRV_VAL)
        set(validate COMMAND ${SPIRV_VAL} --target-env vulkan1.2 ${spv})
      endif()
      add_custom_command(OUTPUT ${spv}
        COMMAND ${GLSLC} --target-env=vulkan1.2 -O -I ${PROJECT_SOURCE_DIR}/shaders ${shader} -o ${spv}
        ${validate}
        DEPENDS ${shader} ${includes} COMMENT "glslc ${stem}.comp" VERBATIM)
      list(APPEND files ${spv})
      list(APPEND entries "shaders/${stem}.spv|${spv}")
    endforeach()
  endif()

  list(SORT entries)
  set(asm ".section .rodata\n")
  set(extern "")
  set(table "")
  set(index 0)
  foreach(entry IN LISTS entries)
    string(REPLACE "|" ";" pair "${entry}")
    list(GET pair 0 name)
    list(GET pair 1 path)
    string(APPEND asm ".balign 64\n.global ergo_embedded_${index}\nergo_embedded_${index}:\n.incbin \"${path}\"\n"
                      ".global ergo_embedded_${index}_end\nergo_embedded_${index}_end:\n.byte 0\n")
    string(APPEND extern "extern const std::byte ergo_embedded_${index}[];\nextern const std::byte ergo_embedded_${index}_end[];\n")
    string(APPEND table "    EmbeddedFile{\"${name}\", {ergo_embedded_${index}, ergo_embedded_${index}_end}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  string(APPEND asm ".section .note.GNU-stack,\"\",@progbits\n")
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/embedded_data.s CONTENT "${asm}" @ONLY)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/embedded_table.cpp CONTENT
"#include \"engine/base/embedded.h\"
#include <array>
extern \"C\" {
${extern}}
namespace ergo {
std::span<const EmbeddedFile> embedded_files() {
    static const std::array<EmbeddedFile, ${index}> files{{
${table}    }};
    return files;
}
} // namespace ergo
" @ONLY)
  set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/embedded_data.s PROPERTIES OBJECT_DEPENDS "${files}" LANGUAGE ASM)
  target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/embedded_data.s ${CMAKE_CURRENT_BINARY_DIR}/embedded_table.cpp)
endfunction()
