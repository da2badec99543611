#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deploy_test.sh ARCHIVE_DIR WORK MODEL: the steps of tools/deploy without a container engine.
# ARCHIVE_DIR is a build folder with CPackConfig.cmake. Exit 77: skipped, with a reason.
set -euo pipefail
build=$1 work=$2 model=$3
rm -rf "$work"
mkdir -p "$work/image"
trap 'rm -rf "$work"' EXIT
cpack -G TGZ --config "$build/CPackConfig.cmake" -B "$work/cpack" >"$work/cpack.log" || {
  cat "$work/cpack.log"
  exit 1
}
tar -C "$work/image" --strip-components=1 -xf "$work"/cpack/*.tar.gz
aot=$work/image/bin/rmsnorm-aot

nvrtc=$("$build/bin/rmsnorm-aot" doctor | sed -n 's/^nvrtc .*, //p')
[ -n "$nvrtc" ] || {
  echo "skipped: no NVRTC on this machine to build the bundle with"
  exit 77
}
[ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null || {
  echo "skipped: only root may mount a read-only root"
  exit 77
}
RMSJIT_NVRTC=$nvrtc "$aot" build --model "$model" --like vllm_cuda --arch sm_90 --out "$work/image/bundle"
cp "$model" "$work/image/config.json"
chmod -R a-w "$work/image"
gate=(/usr/bin/env -i RMSJIT_BUNDLE_PATH=/bundle RMSJIT_JIT=off RMSJIT_CACHE_DIR=)

# The system's folders and the image, all read-only, as a root of their own; a UID nobody knows.
mkdir "$work/root"
run_stage() {
  mount -t tmpfs none "$work/root"
  for folder in usr lib lib64 bin; do
    [ -e "/$folder" ] || continue
    mkdir "$work/root/$folder"
    mount --rbind "/$folder" "$work/root/$folder"
  done
  cp -r "$work/image" "$work/root/opt"
  ln -s opt/bundle "$work/root/bundle"
  mount -o remount,ro "$work/root"
  chroot --userspec=54321:54321 "$work/root" "${gate[@]}" /opt/bin/rmsnorm-aot warm --check \
    --model /opt/config.json --like "$1" --arch sm_90
}
export -f run_stage
export work
unshare -m bash -c "$(declare -p gate); run_stage vllm_cuda"
echo "the gate opens for what was built"
status=0
unshare -m bash -c "$(declare -p gate); run_stage hf_llama" || status=$?
[ $status = 1 ] || {
  echo "the gate's exit code for keys that were not built is $status"
  exit 1
}
echo "and stays shut for what was not"
