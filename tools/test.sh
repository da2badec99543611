#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test that this machine can run: tools/test.sh [--full]. The short form stays under 15
# minutes on two cores from a bare checkout; --full adds the sanitizer builds, the fuzzers and the
# long tests, under 60. Tests that need a GPU say so and are skipped without one.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
full=no
case "${1:-}" in
  "") ;;
  --full) full=yes ;;
  *)
    say "usage: tools/test.sh [--full], given: $*"
    exit 2
    ;;
esac
install_packages "${build_packages[@]}" libgtest-dev libbenchmark-dev python3-venv clang valgrind \
  pkg-config binutils
apt-cache show libclang-rt-dev >/dev/null 2>&1 && install_packages libclang-rt-dev
find_cuda

# wheel FOLDER FILE REQUIREMENT: takes a wheel into build/FOLDER for the tests that use its FILE;
# without it they skip and say so.
wheel() {
  local folder=$root/build/$1
  if [ ! -e "$folder/$2" ]; then
    [ -x "$root/build/venv/bin/pip" ] || python3 -m venv "$root/build/venv" >&2
    "$root/build/venv/bin/pip" install -q --no-deps --only-binary=:all: --target "$folder" "$3" >&2 ||
      say "no wheel of $3: its tests will skip"
  fi
  [ ! -e "$folder/$2" ] || printf '%s' "$folder/$2"
}
old_nvrtc=$(wheel nvrtc12 nvidia/cuda_nvrtc/lib/libnvrtc.so.12 'nvidia-cuda-nvrtc-cu12==12.4.*')
[ -z "$old_nvrtc" ] || export RMSJIT_TEST_OLD_NVRTC=$old_nvrtc
nvdisasm=$(wheel nvdisasm nvidia/cu13/bin/nvdisasm 'nvidia-cuda-nvdisasm==13.*')
[ -z "$nvdisasm" ] || export RMSJIT_TEST_NVDISASM=$nvdisasm

run_ctest() { (cd "$root/build/$1" && shift && ctest --output-on-failure -j2 "$@"); }

say "building build/release"
long=OFF
[ "$full" = yes ] && long=ON
build_preset release -DRMSJIT_BUILD_TESTS=ON -DRMSJIT_BUILD_LONG_TESTS=$long
run_ctest release -LE long
if [ "$full" = yes ]; then
  run_ctest release -L long
  # Exit 3: no cross compiler for aarch64 or no arm64 packages here, which it has said.
  "$root/tools/cross_build.sh" || [ $? = 3 ]
  for preset in asan tsan; do
    say "building build/$preset"
    build_preset "$preset"
    run_ctest "$preset" -L 'unit|fault' -LE long
  done
  say "building build/fuzz; ten minutes of CPU time for the fuzzers"
  build_preset fuzz
  run_ctest fuzz -L fuzz
fi
