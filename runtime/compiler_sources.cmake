# SPDX-License-Identifier: Apache-2.0
# The compiler's part of the runtime: rmsjit_compiler_objects goes into librmsjit through
# RMSJIT_COMPILER_SOURCES, and by itself into the worker and the compiler's own tests.
add_library(rmsjit_compiler_objects OBJECT
  ${CMAKE_CURRENT_LIST_DIR}/compile_thread.cc
  ${CMAKE_CURRENT_LIST_DIR}/compiler.cc
  ${CMAKE_CURRENT_LIST_DIR}/compiler_errors.cc
  ${CMAKE_CURRENT_LIST_DIR}/cubin_info.cc
  ${CMAKE_CURRENT_LIST_DIR}/nvrtc_library.cc
  ${CMAKE_CURRENT_LIST_DIR}/nvrtc_search.cc
  ${CMAKE_CURRENT_LIST_DIR}/signal_shield.cc)
target_link_libraries(rmsjit_compiler_objects PRIVATE
  rmsjit_library_options rmsjit_cuda_headers fmt::fmt-header-only)
set(RMSJIT_COMPILER_SOURCES $<TARGET_OBJECTS:rmsjit_compiler_objects>)

add_library(rmsjit_compiler STATIC ${RMSJIT_COMPILER_SOURCES})
target_link_libraries(rmsjit_compiler PUBLIC rmsjit_templates Threads::Threads ${CMAKE_DL_LIBS})
