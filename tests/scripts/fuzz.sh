#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs every fuzzer of a parser (tests/fuzz/*.cpp) from its seeds, two at a time, under the address and undefined-behaviour
# sanitizers. Ends with one line for each, and fails if one found a crash, a hang, a leak or a broken promise.
#   fuzz.sh [seconds for each, default 60] [--allow-missing]     the latter: clang's runtime may be missing, then nothing is done
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=60
missing=1
for argument in "$@"; do
  case $argument in
    --allow-missing) missing=0 ;;
    *[!0-9]*|'') echo "fuzz.sh [seconds] [--allow-missing]" >&2; exit 2 ;;
    *) seconds=$argument ;;
  esac
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$scratch/empty.cpp"
if ! clang++ -fsanitize=fuzzer,address,undefined "$scratch/empty.cpp" -o "$scratch/empty" 2>"$scratch/log"; then
  echo "no fuzzing: clang++ or its runtime (Debian: clang, libclang-rt-14-dev) is missing: $(tail -n 1 "$scratch/log")"
  exit "$missing"
fi

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz

fuzz() {  # <parser>
  local name=$1 found=build/fuzz/corpus/$1 log=build/fuzz/$1.log options=()
  mkdir -p "$found" build/fuzz/crashes
  [ ! -e "tests/fuzz/$name.dict" ] || options+=("-dict=tests/fuzz/$name.dict")
  if "build/fuzz/tests/fuzz_$name" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
       "-artifact_prefix=build/fuzz/crashes/$name." "${options[@]}" "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
    # "#12345 DONE   cov: 678 ft: 1234 corp: 56/78Kb ..."
    sed -nE "s/^#([0-9]+)[[:space:]]+DONE[[:space:]]+cov: ([0-9]+) .*/$name: \1 executions, \2 edges covered/p" "$log"
  else
    grep -vE '^#[0-9]+|^\[' "$log" | tail -n 40
    echo "$name: FAILED, see $log and build/fuzz/crashes"
    return 1
  fi
}
export -f fuzz
export seconds
for source in tests/fuzz/*.cpp; do basename "$source" .cpp; done | xargs -P 2 -I '{}' bash -euo pipefail -c 'fuzz {}'
