#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# wheel_test.sh WORK CUDA_INCLUDE STUB PYTHON: builds the wheel as a user does, installs it with
# [nvrtc13] into an empty virtual environment, lets rmsnorm-aot build a bundle there, and runs the
# package's tests against the stub driver. Exit 77: skipped, with the reason.
set -euo pipefail
work=$1 cuda_include=$2 stub=$3 python=$4
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work"

[ -x "$work/build/bin/pip" ] || "$python" -m venv "$work/build"
if ! "$work/build/bin/pip" install -q scikit-build-core apache-tvm-ffi ninja; then
  echo "skipped: the package index is not reachable"
  exit 77
fi
rm -rf "$work/dist" "$work/user" "$work/bundle" "$work/unpacked"
# The library is compiled once more, as for a user; a compiler cache knows most of it from the build
# that these tests belong to.
if command -v ccache > /dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
fi
"$work/build/bin/pip" wheel -q "$root/runtime/python" --no-deps --no-build-isolation \
  -w "$work/dist" --config-settings=build-dir="$work/cmake" \
  --config-settings=cmake.define.RMSJIT_CUDA_INCLUDE_DIR="$cuda_include"
wheel=$(echo "$work"/dist/*.whl)

"$python" -m zipfile -e "$wheel" "$work/unpacked"
cmake -DFILES="$(echo "$work"/unpacked/rmsjit/{bin/*,lib/librmsjit.so.0} | tr ' ' ,)" -DREADELF=readelf \
  -P "$root/tests/runtime/check_versions.cmake"
if readelf -V "$work/unpacked/rmsjit/_native.abi3.so" | grep -E 'GLIBCXX|CXXABI|GLIBC_2\.(3[5-9]|[4-9])'; then
  echo "the extension needs a newer glibc than the library, or a C++ library"
  exit 1
fi

"$python" -m venv "$work/user"
"$work/user/bin/pip" install -q "$wheel[nvrtc13]" pytest
env -i PATH=/usr/bin:/bin "$work/user/bin/rmsnorm-aot" build --spec hidden=4096,x=bf16 \
  --arch sm_90 --out "$work/bundle"
env -i PATH=/usr/bin:/bin "$work/user/bin/rmsnorm-aot" verify --bundle "$work/bundle"
cd "$root/tests/python"
RMSJIT_CACHE_DIR="" LD_LIBRARY_PATH=$stub "$work/user/bin/python" -m pytest -q -p no:cacheprovider \
  test_package.py test_mistakes.py test_engines.py test_docs.py
