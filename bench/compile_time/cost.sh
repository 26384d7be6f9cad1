#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What compilers and linkers pay: seconds of processor time to compile and bytes of machine code, of includes alone and of one,
# two and three layer types. Medians of alternated runs. Prints a table, and writes what headgate_bench_report reads.
#   cost.sh [compiler] [runs] [json]        default g++, 3, no file
set -euo pipefail
cd "$(dirname "$0")/../.."
compiler=${1:-g++}
runs=${2:-3}
json=${3:-}
eigen=${EIGEN_INCLUDE:-/usr/include/eigen3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

header='#include <headgate/headgate.hpp>
namespace hg = headgate;
'
# <name of the function> <type of the expert>
inference() {
  echo "void $1(const hg::layer<hg::topk_gate<float>, $2>& l, const hg::matrix<float>& x, hg::matrix<float>& y,
                hg::layer<hg::topk_gate<float>, $2>::workspace& memory) { l.forward(x, y, memory); }"
}
training() {
  echo "void $1(const hg::layer<hg::topk_gate<float>, $2>& l, const hg::matrix<float>& x, hg::matrix<float>& y,
                hg::layer<hg::topk_gate<float>, $2>::tape& tape, hg::layer<hg::topk_gate<float>, $2>::gradients& grads,
                hg::matrix<float>& dx) { l.forward(x, y, tape); l.backward(x, y, tape, dx, grads); }"
}
packed() {
  echo "#include <headgate/packed_layer.hpp>
        using packed_layer = hg::packed_layer<hg::layer<hg::topk_gate<float>, $2>>;
        void $1(const packed_layer& l, const hg::matrix<float>& x, hg::matrix<float>& y, packed_layer::workspace& memory) {
          l.forward(x, y, memory); }"
}

names=(eigen_and_xsimd headgate_hpp layer_inference layer_training two_experts three_experts)
printf '#include <Eigen/Core>\n#include <xsimd/xsimd.hpp>\n' >"$scratch/eigen_and_xsimd.cpp"
echo "$header" >"$scratch/headgate_hpp.cpp"
{ echo "$header"; inference first 'hg::swiglu_expert<float>'; } >"$scratch/layer_inference.cpp"
{ echo "$header"; training first 'hg::swiglu_expert<float>'; } >"$scratch/layer_training.cpp"
{ cat "$scratch/layer_training.cpp"; training second 'hg::geglu_expert<float>'; } >"$scratch/two_experts.cpp"
{ cat "$scratch/two_experts.cpp"; training third 'hg::ffn_expert<float, hg::gelu>'; } >"$scratch/three_experts.cpp"
if [ -e include/headgate/packed_layer.hpp ]; then
  names+=(packed_layer)
  { echo "$header"; packed first 'hg::swiglu_expert<float>'; } >"$scratch/packed_layer.cpp"
fi

TIMEFORMAT='%U %S'
for ((run = 0; run < runs; ++run)); do
  for name in "${names[@]}"; do
    { time "$compiler" -std=c++20 -O2 -mavx2 -mfma -mf16c -Iinclude -isystem "$eigen" -c "$scratch/$name.cpp" -o "$scratch/$name.o" \
      2>"$scratch/messages"; } 2>"$scratch/seconds" || { cat "$scratch/messages" >&2; exit 1; }
    awk '{ printf "%.0f\n", 1000 * ($1 + $2) }' "$scratch/seconds" >>"$scratch/$name.ms"
  done
done

median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
text_bytes() { size -A "$1" | awk '/^\.text/ { sum += $2 } END { print sum + 0 }'; }
entries=""
printf '%-20s %9s %12s   (%s -O2, AVX2)\n' "" seconds "code, KiB" "$compiler"
for name in "${names[@]}"; do
  ms=$(median "$scratch/$name.ms")
  bytes=$(text_bytes "$scratch/$name.o")
  awk -v n="$name" -v ms="$ms" -v b="$bytes" 'BEGIN { printf "%-20s %9.2f %12.1f\n", n, ms / 1000, b / 1024 }'
  entries+="${entries:+,}
    {\"name\": \"cost/$name\", \"run_name\": \"cost/$name\", \"run_type\": \"iteration\", \"real_time\": $ms, \"time_unit\": \"ms\", \"text_bytes\": $bytes}"
done
if [ -n "$json" ]; then printf '{"context": {}, "benchmarks": [%s\n]}\n' "$entries" >"$json"; fi
