#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/cross_build.sh: builds library, worker and command for aarch64 into build/aarch64, and, where
# qemu is, compares the keys. Exit 3 where this system has no cross compiler or no arm64 packages.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
install_packages "${build_packages[@]}" g++-aarch64-linux-gnu binutils
find_cuda

# The target's headers and libsodium.a, unpacked and not installed: apt with a state of its own.
sysroot=$root/build/aarch64-sysroot
if [ ! -e "$sysroot/usr/lib/aarch64-linux-gnu/libsodium.a" ]; then
  rm -rf "$sysroot"
  mkdir -p "$sysroot/apt/lists/partial" "$sysroot/apt/archives/partial"
  cat >"$sysroot/apt/conf" <<END
APT::Architecture "arm64";
APT::Architectures "arm64";
Dir::State "$sysroot/apt";
Dir::State::status "/dev/null";
Dir::Cache "$sysroot/apt";
APT::Sandbox::User "";
END
  export APT_CONFIG=$sysroot/apt/conf
  { apt-get update -qq && (cd "$sysroot/apt" && apt-get download -qq libsodium-dev libfmt-dev libfmt9 \
    nlohmann-json3-dev libcli11-dev); } >&2 || give_up "no arm64 packages of libsodium-dev here"
  unset APT_CONFIG
  for package in "$sysroot"/apt/*.deb; do dpkg-deb -x "$package" "$sysroot"; done
fi

build=$root/build/aarch64
cmake -S "$root" -B "$build" -G Ninja --toolchain "$root/tools/cmake/aarch64-linux-gnu.cmake" \
  -DRMSJIT_SYSROOT="$sysroot" -DRMSJIT_CUDA_INCLUDE_DIR="$cuda_include" -DCMAKE_BUILD_TYPE=Release \
  -DRMSJIT_BUILD_TESTS=OFF -DRMSJIT_BUILD_BENCH=OFF >&2
cmake --build "$build" >&2
for file in lib/librmsjit.so bin/rmsjit-worker bin/rmsnorm-aot; do
  readelf -h "$build/$file" | grep -q AArch64 || {
    say "$file is not for aarch64"
    exit 1
  }
done
cmake -DFILES="$build/lib/librmsjit.so,$build/bin/rmsjit-worker,$build/bin/rmsnorm-aot" \
  -DREADELF=readelf -P "$root/tests/runtime/check_versions.cmake" >&2

qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
if [ -z "$qemu" ]; then
  say "built for aarch64; not run: no qemu-aarch64"
  exit 0
fi
# A key has the same digest on every host: what is missing in an empty bundle is listed with it.
mkdir -p "$build/empty/v1/obj"
missing() {
  "$@" verify --json --quiet --bundle "$build/empty" --arch sm_90,sm_100 \
    --model "$root/tools/models/configs/llama-3.1-8b.json" || [ $? = 1 ]
}
there=$(missing "$qemu" -L /usr/aarch64-linux-gnu "$build/bin/rmsnorm-aot")
here=$there
[ -x "$root/build/release/bin/rmsnorm-aot" ] && here=$(missing "$root/build/release/bin/rmsnorm-aot")
if [ -z "$there" ] || [ "$there" != "$here" ]; then
  say "keys differ between aarch64 and this host: $there"
  exit 1
fi
say "built for aarch64 and run under $qemu"
