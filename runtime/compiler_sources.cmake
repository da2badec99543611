# SPDX-License-Identifier: Apache-2.0
# The compiler's part of the runtime: rmsjit_compiler_objects goes into librmsjit through
# RMSJIT_COMPILER_SOURCES, and by itself into the worker and the compiler's own tests.
add_library(rmsjit_compiler_objects OBJECT
  ${CMAKE_CURRENT_LIST_DIR}/compile_thread.cc
  ${CMAKE_CURRENT_LIST_DIR}/compile_worker.cc
  ${CMAKE_CURRENT_LIST_DIR}/compiler.cc
  ${CMAKE_CURRENT_LIST_DIR}/compiler_errors.cc
  ${CMAKE_CURRENT_LIST_DIR}/cubin_info.cc
  ${CMAKE_CURRENT_LIST_DIR}/nvrtc_library.cc
  ${CMAKE_CURRENT_LIST_DIR}/nvrtc_search.cc
  ${CMAKE_CURRENT_LIST_DIR}/signal_shield.cc
  ${CMAKE_CURRENT_LIST_DIR}/worker_compiler.cc
  ${CMAKE_CURRENT_LIST_DIR}/worker_pool.cc
  ${CMAKE_CURRENT_LIST_DIR}/worker_protocol.cc)
target_link_libraries(rmsjit_compiler_objects PRIVATE
  rmsjit_library_options rmsjit_cuda_headers fmt::fmt-header-only)
set(RMSJIT_COMPILER_SOURCES $<TARGET_OBJECTS:rmsjit_compiler_objects>)

add_library(rmsjit_compiler STATIC ${RMSJIT_COMPILER_SOURCES})
target_link_libraries(rmsjit_compiler PUBLIC rmsjit_templates Threads::Threads ${CMAKE_DL_LIBS})

# Self-contained but for libc, so that it starts wherever the library loads.
add_executable(rmsjit-worker ${CMAKE_CURRENT_LIST_DIR}/worker_main.cc)
target_link_libraries(rmsjit-worker PRIVATE rmsjit_library_options rmsjit_compiler)
if(NOT RMSJIT_SANITIZE)
  target_sources(rmsjit-worker PRIVATE ${CMAKE_CURRENT_LIST_DIR}/no_throw.cc)
  target_link_options(rmsjit-worker PRIVATE -static-libstdc++ -static-libgcc LINKER:--gc-sections)
endif()
if(RMSJIT_INSTALL)
  include(GNUInstallDirs)
  install(TARGETS rmsjit-worker RUNTIME DESTINATION libexec/rmsjit)
endif()
