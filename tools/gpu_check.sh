#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/gpu_check.sh BUILD [OUT]: everything that needs a device, from a copied build folder: no
# packages, no network, nothing compiled but kernels. A line a step when it ends, and its log in OUT
# (a line of shard 3 begins with "3| "); what has begun is said first, for when time runs out.
set -uo pipefail
build=${1:?usage: tools/gpu_check.sh BUILD [OUT]}
out=${2:-$build/gpu-check}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
rm -f "$out"/*.log
export RMSJIT_REQUIRE_GPU=1
failed=0
declare -A running=()  # pid -> name

# Tests that fill the device's memory, watch how much of it is free, or time something: no other
# process may use the device meanwhile. Under a sanitizer they skip, or show nothing.
alone='Resident.*:Capture.PrepareAndLaunchAllocateNoDeviceMemoryOfTheirOwn'

# sum BEFORE AFTER LOG: of the numbers between the two patterns.
sum() {
  sed -nE "s/.*$1 ([0-9]+) $2.*/\1/p" "$3" | awk '{ n += $1 } END { print n + 0 }'
}

# counts LOG: what GoogleTest and the sanitizers say at their ends, summed over the shards.
counts() {
  grep -qF '[  PASSED  ]' "$1" || return 0
  printf '%s passed, %s skipped, %s failed' "$(sum '\[  PASSED  \]' tests? "$1")" \
    "$(sum '\[  SKIPPED \]' 'tests?, listed' "$1")" "$(sum '\[  FAILED  \]' 'tests?, listed' "$1")"
  if grep -q 'SUMMARY: ' "$1"; then
    printf '; %s findings in %s reports' "$(sum 'SUMMARY:' '(errors?|hazards?)' "$1")" \
      "$(grep -c 'SUMMARY: ' "$1")"
  fi
}

# step NAME SHARDS COMMAND...: the command as so many processes; its line, and
# how each that failed ended. No test at all is a failure.
step() {
  local name=$1 shards=$2 began=$SECONDS pids=() bad=() shard
  shift 2
  local log=$out/$name.log
  for ((shard = 0; shard < shards; ++shard)); do
    GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard "$@" 2>&1 | sed -u "s/^/$shard| /" >>"$log" &
    pids+=($!)
  done
  for shard in "${!pids[@]}"; do
    wait "${pids[shard]}" || bad+=("$shard")
  done
  local counted word=ok ends=''
  counted=$(counts "$log")
  if [ ${#bad[@]} -gt 0 ] || [[ $counted == '0 passed'* ]]; then word=FAILED; fi
  for shard in "${bad[@]}"; do
    ends+=$(grep "^$shard| " "$log" | tail -n 30)$'\n'
  done
  printf '%-14s %-6s %4d s  %s\n%s' "$name" $word $((SECONDS - began)) "$counted" "$ends"
  [ $word = ok ]
}

# begin NAME SHARDS COMMAND...; finish: waits for all that has begun.
begin() {
  step "$@" &
  running[$!]=$1
}
finish() {
  echo "at $SECONDS s: ${running[*]}"
  local pid
  for pid in "${!running[@]}"; do
    wait "$pid" || failed=1
  done
  running=()
}

# whole NAME COMMAND...: a step by itself whose output is shown.
whole() {
  step "$1" 1 "${@:2}" || failed=1
  sed 's/^0| //' "$out/$1.log"
}

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader || true
cores=$(nproc)
begin gpu_test $((cores < 16 ? (cores + 1) / 2 : 8)) "$build/tests/gpu_test" "--gtest_filter=-$alone"
finish
begin gpu_test_alone 1 "$build/tests/gpu_test" "--gtest_filter=$alone"
finish
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -n "$sanitizer" ]; then
  export RMSJIT_GPU_SHORT=1
  for tool in memcheck racecheck initcheck; do
    # Three each: a sanitizer looks for a free port among ten.
    begin $tool $((cores < 12 ? 1 : 3)) "$sanitizer" --tool $tool --error-exitcode 9 \
      "$build/tests/gpu_test" "--gtest_filter=-$alone"
  done
  finish
else
  echo "compute-sanitizer is not on this machine: memcheck, racecheck and initcheck were not run"
  failed=1
fi
unset RMSJIT_GPU_SHORT
bundle=$build/../demo-bundle
if [ -d "$bundle" ]; then
  models=(--model "$here/models/configs/llama-3.1-8b.json" --model "$here/models/configs/deepseek-v3.json")
  whole demo "$build/bin/rmsjit-demo" --bundle "$bundle" "${models[@]}"
  whole warm "$build/bin/rmsnorm-aot" warm --check --bundle "$bundle" "${models[@]}"
  whole decoder_loop env RMSJIT_JIT=off RMSJIT_BUNDLE_PATH="$bundle" "$build/bin/rmsjit-decoder-loop"
fi
exit $failed
