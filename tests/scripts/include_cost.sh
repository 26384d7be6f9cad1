#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a user's compiler pays: `#include <headgate/headgate.hpp>` against Eigen and xsimd, which it needs anyway (at most 1.5
# times as long), and the first example (at most 15 s). Medians of alternated runs; a machine that is busy gets a second chance.
#   include_cost.sh [compiler] [runs]        default g++, 5
set -euo pipefail
cd "$(dirname "$0")/../.."
compiler=${1:-g++}
runs=${2:-5}
eigen=${EIGEN_INCLUDE:-/usr/include/eigen3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

time_compile() {  # <source> <file that collects milliseconds>
  local start
  start=$(date +%s%N)
  "$compiler" -std=c++20 -O2 -mavx2 -mfma -mf16c -Iinclude -isystem "$eigen" -c "$1" -o "$scratch/object" || exit 2  # `set -e` sleeps in `measure ||`
  echo $((($(date +%s%N) - start) / 1000000)) >>"$2"
}
median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

printf '#include <Eigen/Core>\n#include <xsimd/xsimd.hpp>\n' >"$scratch/base.cpp"
echo '#include <headgate/headgate.hpp>' >"$scratch/ours.cpp"

measure() {
  rm -f "$scratch"/*.ms
  for ((i = 0; i < runs; ++i)); do
    time_compile "$scratch/base.cpp" "$scratch/base.ms"
    time_compile "$scratch/ours.cpp" "$scratch/ours.ms"
  done
  for ((i = 0; i < (runs + 1) / 2; ++i)); do time_compile examples/01_first_layer.cpp "$scratch/example.ms"; done
  awk -v b="$(median "$scratch/base.ms")" -v o="$(median "$scratch/ours.ms")" -v e="$(median "$scratch/example.ms")" -v c="$compiler" 'BEGIN {
    printf "%s -O2: Eigen/Core + xsimd %.2f s, headgate.hpp %.2f s, ratio %.2f (at most 1.5); 01_first_layer.cpp %.1f s (at most 15)\n", \
           c, b / 1000, o / 1000, o / b, e / 1000
    exit o > 1.5 * b || e > 15000 }'
}
measure || { echo "too long; once more"; measure; }
