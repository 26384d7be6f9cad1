#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the smallest tests of kernels, routing and packed layers under valgrind's memcheck, which must have nothing to say: no
# decision on what was never written, no access outside a block, nothing lost. For a build without AVX-512, which valgrind 3.19
# does not know.
#   valgrind.sh [program]        default build/test/tests/headgate_kernel_tests
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/test/tests/headgate_kernel_tests}

# Not the sweeps over numbers and shapes, which would take most of the time: valgrind is 50 times slower. Not OpenMP, whose
# threads wait in loops while valgrind runs one thread at a time; Eigen would start some too. Not communicators, for time-outs
# of half a second run out there.
too_long='~[bits]~[random]~[exp]~[openmp]~[communicators]~"topk_row finds*"~"combined_product has the bits*"~"* rounds all kinds of floats*"'
too_long+='~"block_product does the same*"~"block_product forms every sum*"~"*destroyed before*"~"*score of the whole batch*"'
one_layer='"packed linear experts have the bits of the layer"'
export OMP_NUM_THREADS=1
valgrind --quiet --error-exitcode=1 --num-callers=20 \
  --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  "$program" --warn NoTests "$too_long,$one_layer"
