# SPDX-License-Identifier: Apache-2.0
# What every target shares. rmsjit_options: language, warnings, sanitizers, includes from the root.
# rmsjit_library_options: what goes into librmsjit, so no exceptions, no RTTI, hidden, PIC.
add_library(rmsjit_options INTERFACE)
target_compile_features(rmsjit_options INTERFACE cxx_std_20)
target_compile_options(rmsjit_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
  # gcc 12 sees overlapping copies in "text" + std::string at -O3 (its bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(rmsjit_options INTERFACE
  ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/runtime/include ${PROJECT_BINARY_DIR}/generated)
if(RMSJIT_SANITIZE)
  # vptr asks for RTTI, which the library is built without.
  target_compile_options(rmsjit_options INTERFACE -fsanitize=${RMSJIT_SANITIZE} -fno-sanitize=vptr
                                                  -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  target_link_options(rmsjit_options INTERFACE -fsanitize=${RMSJIT_SANITIZE})
  target_link_libraries(rmsjit_options INTERFACE fmt::fmt)
endif()
if(RMSJIT_BUILD_FUZZERS)
  target_compile_options(rmsjit_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(rmsjit_library_options INTERFACE)
target_link_libraries(rmsjit_library_options INTERFACE rmsjit_options)
target_compile_options(rmsjit_library_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti> -fPIC -fvisibility=hidden
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
target_compile_definitions(rmsjit_library_options INTERFACE FMT_EXCEPTIONS=0 JSON_NOEXCEPTION)

configure_file(${PROJECT_SOURCE_DIR}/runtime/include/rmsjit/version.h.in
               ${PROJECT_BINARY_DIR}/generated/rmsjit/version.h @ONLY)

# rmsjit_embed(<target> <out.cc> <function> FILES name=path...): adds a source that defines
# `std::span<const EmbeddedFile> <function>()` in namespace rmsjit, with each file's bytes.
function(rmsjit_embed target output function)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  set(paths)
  foreach(pair IN LISTS ARG_FILES)
    string(REGEX REPLACE "^[^=]*=" "" path "${pair}")
    list(APPEND paths ${path})
  endforeach()
  string(REPLACE ";" "," joined "${ARG_FILES}")
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DFUNCTION=${function} "-DFILES=${joined}"
            -P ${PROJECT_SOURCE_DIR}/templates/embed.cmake
    DEPENDS ${paths} ${PROJECT_SOURCE_DIR}/templates/embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
