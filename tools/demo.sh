#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The newcomer's command: installs what is missing, builds Release, and runs the main job for two
# real models: precompile every RMSNorm for four GPU generations into a bundle, again to show that
# everything hits, verify, and launch on the GPU if there is one.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
install_packages "${build_packages[@]}"
find_cuda
say "building build/release"
targets=(rmsnorm-aot rmsjit-worker rmsjit-demo)
# A build folder that has the tests keeps them.
[ -e "$root/build/release/CMakeCache.txt" ] || no_tests=-DRMSJIT_BUILD_TESTS=OFF
build_preset release ${no_tests:+"$no_tests"}

aot=$root/build/release/bin/rmsnorm-aot
bundle=$root/build/demo-bundle
models=(--model "$root/tools/models/configs/llama-3.1-8b.json" --model "$root/tools/models/configs/deepseek-v3.json")
rm -rf "$bundle"
say "== every RMSNorm of Llama 3.1 8B and DeepSeek-V3, four targets, into a bundle"
"$aot" build "${models[@]}" --arch sm_80,sm_90,sm_100,sm_120 --out "$bundle"
say "== again: everything hits"
"$aot" build "${models[@]}" --arch sm_80,sm_90,sm_100,sm_120 --out "$bundle"
say "== verify the bundle"
"$aot" verify --bundle "$bundle" "${models[@]}" --arch sm_80,sm_90,sm_100,sm_120
say "== launch on this machine's GPU, against the double-precision reference"
"$root/build/release/bin/rmsjit-demo" --bundle "$bundle" "${models[@]}"
