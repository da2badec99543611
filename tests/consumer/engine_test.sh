#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# engine_test.sh BUILD WORK SOURCE STUB CC: the steps of runtime/docs/c.md with the archive unpacked in
# a folder of its own, over the stub driver. Exit 77: skipped, with a reason.
set -euo pipefail
build=$1 work=$2 source=$3 stub=$4 cc=$5
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
cd "$work"
nvrtc=$("$build/bin/rmsnorm-aot" doctor | sed -n 's/^nvrtc .*, //p')
[ -n "$nvrtc" ] || {
  echo "skipped: no NVRTC on this machine to build the bundle with"
  exit 77
}
export PREFIX=$work/prefix RMSJIT_NVRTC=$nvrtc
cmake --install "$build" --prefix "$work/installed" >install.log
mv installed prefix  # a package with absolute paths inside would still work where it was made
PATH=$PREFIX/bin:$PATH
cp "$source/tools/examples/engine_loop.c" .

# The page's own commands; the compiler's gets the memory that the stub driver lacks.
page() { sed -n "s/^       \($1.*\)/\1/p" "$source/runtime/docs/c.md"; }
eval "$(page 'export PKG_CONFIG_PATH')"
"$cc" -shared -fPIC "$source/tests/consumer/device_memory.c" -o libmemory.so
cc() { command "$cc" -pedantic -Wall -Wextra -Werror -L"$stub" "$@" -L. -lmemory "-Wl,-rpath,$work:$stub"; }
eval "$(page 'cc ')"
eval "$(page 'rmsnorm-aot build')"
said=$(eval "$(page 'RMSJIT_BUNDLE_PATH')")
echo "$said"
grep -qF "It prints \`$said\`" "$source/runtime/docs/c.md"

status=0
RMSJIT_BUNDLE_PATH='' RMSJIT_CACHE_DIR='' RMSJIT_JIT=off ./engine_loop 2>refused || status=$?
[ $status = 1 ] && grep -q 'compiling is off' refused || {
  echo "without a bundle it ended with $status and said: $(cat refused)"
  exit 1
}
