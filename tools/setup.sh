# SPDX-License-Identifier: Apache-2.0
# Sourced by demo.sh and test.sh: installs what is missing and configures a build. Every step looks
# first, so a second run does nothing. Talk goes to stderr.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$root/build"

say() { printf '%s\n' "$*" >&2; }

# Exit 3: the environment cannot give what is needed.
give_up() {
  say "$1"
  exit 3
}

# sudo may ask for a password where somebody can answer.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

# install_packages name...: the distribution's packages that are not there yet.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null ||
    give_up "this script installs Debian and Ubuntu packages; install these by hand: ${missing[*]}"
  say "installing ${missing[*]}"
  { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}"; } >"$root/build/install.log" 2>&1 || {
    tail -n 5 "$root/build/install.log" >&2
    give_up "cannot install ${missing[*]}: run as root or with sudo and with package sources that have them"
  }
}

build_packages=(g++ cmake ninja-build libfmt-dev nlohmann-json3-dev libcli11-dev libsodium-dev)

# new_enough cuda.h: of 12.4, the oldest that is served; distributions ship older ones.
new_enough() {
  local version
  version=$(awk '$1 == "#define" && $2 == "CUDA_VERSION" { print $3 }' "$1" 2>/dev/null)
  [ "${version:-0}" -ge 12040 ]
}

# Sets cuda_include. A CUDA Toolkit if there is a new enough one, else the vendor's wheels under build/nvrtc.
find_cuda() {
  local place
  for place in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda /usr; do
    if [ -n "$place" ] && [ -f "$place/include/nvrtc.h" ] && new_enough "$place/include/cuda.h"; then
      cuda_include=$place/include
      return 0
    fi
  done
  cuda_include=$root/build/nvrtc/nvidia/cu13/include
  [ -f "$cuda_include/nvrtc.h" ] && [ -f "$cuda_include/cuda.h" ] && return 0
  install_packages python3-venv
  say "no CUDA Toolkit: taking NVRTC and its headers from the vendor's wheels"
  [ -x "$root/build/venv/bin/pip" ] || python3 -m venv "$root/build/venv" >&2
  rm -rf "$root/build/nvrtc.part"
  if "$root/build/venv/bin/pip" install -q --no-deps --only-binary=:all: \
    --target "$root/build/nvrtc.part" 'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cuda-runtime==13.0.*' >&2; then
    rm -rf "$root/build/nvrtc"
    mv "$root/build/nvrtc.part" "$root/build/nvrtc"
    return 0
  fi
  give_up "no NVRTC: install the CUDA Toolkit 12.4 or newer, or make 'pip install nvidia-cuda-nvrtc==13.0.* nvidia-cuda-runtime==13.0.*' possible"
}

# build_preset name [cmake arguments...]: configures build/<name> and builds `targets`, or what
# the preset says.
targets=()
build_preset() {
  local preset=$1
  shift
  (cd "$root" && cmake --preset "$preset" -DRMSJIT_CUDA_INCLUDE_DIR="$cuda_include" "$@" &&
    cmake --build --preset "$preset" ${targets[@]:+--target "${targets[@]}"}) >"$root/build/$preset.log" 2>&1 || {
    tail -n 40 "$root/build/$preset.log" >&2
    say "building $preset failed; the whole log is build/$preset.log"
    exit 1
  }
}
