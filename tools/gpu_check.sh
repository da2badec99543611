#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/gpu_check.sh BUILD [OUT]: everything that needs a device, from a copied build folder: no
# packages, no network, nothing compiled but kernels. Logs and a summary go to OUT.
set -uo pipefail
build=${1:?usage: tools/gpu_check.sh BUILD [OUT]}
out=${2:-$build/gpu-check}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
export RMSJIT_REQUIRE_GPU=1
failed=0

# step NAME COMMAND...: runs, logs, and remembers a failure.
step() {
  local name=$1 begin=$SECONDS
  shift
  if "$@" >"$out/$name.log" 2>&1; then
    printf '%-22s ok      %4d s  %s\n' "$name" $((SECONDS - begin)) "$(grep -E 'PASSED|ERROR SUMMARY|RACECHECK SUMMARY' "$out/$name.log" | tr '\n' ' ')"
  else
    printf '%-22s FAILED  %4d s\n' "$name" $((SECONDS - begin))
    tail -n 30 "$out/$name.log"
    failed=1
  fi
}

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader || true
step gpu_test "$build/tests/gpu_test"
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -n "$sanitizer" ]; then
  export RMSJIT_GPU_SHORT=1
  for tool in memcheck racecheck initcheck; do
    step "$tool" "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/tests/gpu_test"
  done
else
  echo "compute-sanitizer is not on this machine: memcheck, racecheck and initcheck were not run"
  failed=1
fi
if [ -d "$build/../demo-bundle" ]; then
  models=(--model "$here/models/configs/llama-3.1-8b.json" --model "$here/models/configs/deepseek-v3.json")
  step demo "$build/bin/rmsjit-demo" --bundle "$build/../demo-bundle" "${models[@]}"
  cat "$out/demo.log"
  step warm "$build/bin/rmsnorm-aot" warm --check --bundle "$build/../demo-bundle" "${models[@]}"
  cat "$out/warm.log"
  step decoder_loop env RMSJIT_JIT=off RMSJIT_BUNDLE_PATH="$build/../demo-bundle" \
    "$build/bin/rmsjit-decoder-loop"
  cat "$out/decoder_loop.log"
fi
exit $failed
