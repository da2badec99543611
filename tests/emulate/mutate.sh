#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/emulate/mutate.sh BUILD [NAME...]: plants one bug at a time in a copy of the kernel
# template, compiles every EVERYth kernel of kernel_set() from it and demands that the emulator's
# tests fail. Prints a table; exits 1 if a bug survives, if its place is no longer in the template,
# or if the template without a bug fails. BUILD holds a finished build of kernel_test.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 BUILD [NAME...]" >&2; exit 2; }
build=$(cd "$1" && pwd)
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
every=${EVERY:-10}  # no multiple of 3: every third kernel has eps 0, another a subnormal one
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
units=4
mkdir "$work/units"
"$build/bin/generate_units" "$work/units" $units "$every"

# compile TEMPLATES OUT: without sanitizers, so that each bug is left to the emulator's own checks.
compile() {
  mkdir -p "$2"
  for unit in "$work"/units/*.cc; do echo "$unit"; done |
    xargs -P "$(nproc)" -I{} sh -c "
      g++ -std=c++20 -O0 -ffp-contract=off -w -I'$1' -I'$root' -I'$root/runtime/include' \
        -c {} -o '$2'/\$(basename {}).o" &&
    g++ "$build/tests/emulate/CMakeFiles/kernel_test.dir/kernel_test.cc.o" "$2"/*.o \
      -L"$build/lib" -lrmsjit_emulate_harness -lrmsjit_row_pool -lrmsjit_emulator \
      -lrmsjit_kernel_set -lrmsjit_spec_set -lrmsjit_reference -lrmsjit_templates -lgtest_main -lgtest -lfmt -lpthread \
      -o "$2/kernel_test"
}

# The first failure's sentence, short enough for the table.
symptom() {
  grep -m1 -oE '(row [0-9]+ \([a-z_]+\): [a-z_]+\[|block [0-9]+ thread [^:]*: .*|bytes outside.*|block [0-9]+: no thread.*)' \
    "$1" | sed -E 's/^block [0-9]+ thread \([0-9, ]+\): //; s/^row [0-9]+ \(([a-z_]+)\): ([a-z_]+)\[/\2 differs in a "\1" row/' |
    cut -c1-80
}

names=() files=() olds=() news=()
bug() { names+=("$1"); files+=("$2"); olds+=("$3"); news+=("$4"); }
source "$root/tests/emulate/mutations.sh"

echo "kernels: every ${every}th of kernel_set()"
compile "$root/templates" "$work/clean" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/clean/kernel_test" --gtest_brief=1 >"$work/log" 2>&1 || {
  tail -20 "$work/log"
  echo "the template without a bug fails" >&2
  exit 1
}
status=0 caught=0 tried=0
for i in "${!names[@]}"; do
  name=${names[$i]}
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  tried=$((tried + 1))
  rm -rf "$work/templates" "$work/out"
  cp -r "$root/templates" "$work/templates"
  verdict=survived what=
  if ! OLD=${olds[$i]} NEW=${news[$i]} perl -0pi -e \
    's/\Q$ENV{OLD}\E/$ENV{NEW}/ or $m = 1; END { $? = 1 if $m }' "$work/templates/${files[$i]}"; then
    verdict="not in the template"
  elif ! compile "$work/templates" "$work/out" >"$work/log" 2>&1; then
    verdict="does not compile" what=$(grep -m1 error "$work/log" | cut -c1-80)
  elif ! timeout 300 "$work/out/kernel_test" --gtest_brief=1 --gtest_fail_fast >"$work/log" 2>&1; then
    verdict=caught what=$(symptom "$work/log" || true)
    caught=$((caught + 1))
  fi
  [ "$verdict" = caught ] || status=1
  printf '%-28s %-20s %s\n' "$name" "$verdict" "$what"
done
echo "$caught of $tried caught"
exit $status
