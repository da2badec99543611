# SPDX-License-Identifier: Apache-2.0
# Every dependency, found and never fetched; each failure says which package to install.
find_package(fmt REQUIRED)
if(RMSJIT_SANITIZE)
  # Instrumented in every file, fmt's own code is six sevenths of a sanitizer build; rmsjit_options
  # links the distribution's library instead.
  set_target_properties(fmt::fmt-header-only PROPERTIES INTERFACE_COMPILE_DEFINITIONS "")
endif()
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)

# libsodium is linked statically (SHA-256 and Ed25519), so that the library needs no package at run
# time. Debian ships no CMake file for it.
find_path(RMSJIT_SODIUM_INCLUDE_DIR sodium.h)
find_library(RMSJIT_SODIUM_LIBRARY NAMES libsodium.a sodium)
if(NOT RMSJIT_SODIUM_INCLUDE_DIR OR NOT RMSJIT_SODIUM_LIBRARY)
  message(FATAL_ERROR "libsodium not found: install libsodium-dev")
endif()
add_library(rmsjit_sodium INTERFACE)
target_include_directories(rmsjit_sodium SYSTEM INTERFACE ${RMSJIT_SODIUM_INCLUDE_DIR})
target_link_libraries(rmsjit_sodium INTERFACE ${RMSJIT_SODIUM_LIBRARY})

# Only the headers: libcuda and libnvrtc are opened at run time.
if(NOT RMSJIT_CUDA_INCLUDE_DIR)
  find_package(CUDAToolkit QUIET)
  if(CUDAToolkit_FOUND)
    list(GET CUDAToolkit_INCLUDE_DIRS 0 RMSJIT_CUDA_INCLUDE_DIR)
  endif()
endif()
if(NOT EXISTS ${RMSJIT_CUDA_INCLUDE_DIR}/cuda.h OR NOT EXISTS ${RMSJIT_CUDA_INCLUDE_DIR}/nvrtc.h)
  message(FATAL_ERROR "cuda.h and nvrtc.h not found: install the CUDA Toolkit, or run tools/demo.sh, "
                      "which takes them from the vendor's wheels, or set RMSJIT_CUDA_INCLUDE_DIR")
endif()
add_library(rmsjit_cuda_headers INTERFACE)
target_include_directories(rmsjit_cuda_headers SYSTEM INTERFACE ${RMSJIT_CUDA_INCLUDE_DIR})
if(NOT EXISTS ${RMSJIT_CUDA_INCLUDE_DIR}/nvtx3/nvToolsExt.h)
  message(NOTICE "rmsjit: no nvtx3/nvToolsExt.h in ${RMSJIT_CUDA_INCLUDE_DIR}: built without NVTX "
                 "ranges, and nvtx_test is left out; the trace callback works as ever")
endif()
