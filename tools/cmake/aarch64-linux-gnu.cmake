# SPDX-License-Identifier: Apache-2.0
# cmake --toolchain tools/cmake/aarch64-linux-gnu.cmake: for GH200, GB200 and Jetson hosts, with
# Debian's cross compiler. RMSJIT_SYSROOT holds the target's headers and libsodium.a, as
# tools/cross_build.sh lays them out; RMSJIT_CUDA_INCLUDE_DIR may be the host's.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH ${RMSJIT_SYSROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RMSJIT_SYSROOT)
