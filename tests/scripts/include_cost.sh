#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Reports what `#include <headgate/headgate.hpp>` costs next to Eigen and xsimd, which it needs anyway: seconds, best of <runs>.
#   include_cost.sh [compiler] [runs]        default g++, 5
set -euo pipefail
cd "$(dirname "$0")/../.."
compiler=${1:-g++}
runs=${2:-5}
eigen=${EIGEN_INCLUDE:-/usr/include/eigen3}
object=$(mktemp)
trap 'rm -f "$object"' EXIT

cost() {  # <source text> -> seconds
  for ((i = 0; i < runs; ++i)); do
    start=$(date +%s.%N)
    "$compiler" -std=c++20 -O2 -mavx2 -mfma -Iinclude -isystem "$eigen" -x c++ -c - -o "$object" <<<"$1"
    echo "$(date +%s.%N) - $start" | awk '{ print $1 - $3 }'
  done | sort -n | head -1
}

base=$(cost $'#include <Eigen/Core>\n#include <xsimd/xsimd.hpp>')
ours=$(cost '#include <headgate/headgate.hpp>')
awk -v b="$base" -v o="$ours" -v c="$compiler" 'BEGIN {
  printf "%s -O2: Eigen/Core + xsimd %.2f s, headgate.hpp %.2f s, ratio %.2f\n", c, b, o, o / b }'
