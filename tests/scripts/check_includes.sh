#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Who may include whom, and which third-party and standard headers stay where.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Folder: what of headgate/ it may include besides itself, by folder or by header. `base` stands for config, version and
# fwd, `layer` for layer.hpp and the other headers of layers beside it. Concepts name the records that policies exchange.
# Models read no file, but a description of one that came from a file is refused as that file is. io reads and writes
# models and the records of routing/.
# layer -> {gates, experts, losses, routing} -> kernels -> parallel (executors; no algorithm of ours in there) -> core
rules='
core         base
concepts     base core parallel/pass routing/routing routing/groups
reference    base core concepts
parallel     base core concepts
communicators  base core concepts
kernels      base core concepts parallel
activations  base core concepts kernels
norms        base core kernels activations
checks       base core kernels
routing      base core concepts kernels parallel
gates        base core concepts kernels parallel activations routing
experts      base core concepts kernels parallel activations routing
losses       base core concepts kernels routing
optim        base core concepts kernels
layer        base core concepts kernels parallel communicators activations routing gates experts losses checks
models       base core concepts kernels parallel activations routing gates experts layer io/refuse_file
io           base core concepts parallel routing kernels/finite models layer
testing      base core concepts kernels parallel activations routing gates experts losses reference
headgate     base core concepts kernels parallel activations routing gates experts losses reference optim testing norms layer models
'

find include/headgate -name '*.hpp' | sort | xargs awk -v rules="$rules" '
  function part_of(path) {  # "gates/score/softmax.hpp" -> "gates", "layer.hpp" -> "layer"
    sub(/\.hpp$/, "", path)
    sub(/\/.*/, "", path)
    if (path ~ /^(config|version|fwd)$/) return "base"
    return path ~ /^(dense_layer|expert_exchange|expert_parallel_agreement|expert_parallel_layer|expert_parallel_state|layer_core|layer_state|packed_layer|routed_batch|routed_experts|trained_parameters)$/ ? "layer" : path
  }
  function complain(sentence) { print FILENAME ":" FNR ": " sentence; bad = 1 }
  BEGIN {
    count = split(rules, line, "\n")
    for (i = 1; i <= count; ++i) {
      n = split(line[i], word, " ")
      for (j = 1; j <= n; ++j) may[word[1], word[j]] = 1
      if (n) known[word[1]] = 1
    }
    may["base", "base"] = 1
    known["base"] = 1
  }
  FNR == 1 {
    self = FILENAME
    sub(/^include\/headgate\//, "", self)
    own = part_of(self)
    if (!(own in known)) complain("check_includes.sh has no rule for " own)
  }
  /^[ \t]*#[ \t]*include[ \t]*"/ { complain("include our headers as <headgate/...>") }
  /^[ \t]*#[ \t]*include[ \t]*</ {
    header = $0
    sub(/^[^<]*</, "", header)
    sub(/>.*/, "", header)
    if (header ~ /^headgate\//) {
      sub(/^headgate\//, "", header)
      name = header
      sub(/\.hpp$/, "", name)
      if (!((own, part_of(header)) in may) && !((own, name) in may) && own != part_of(header)) complain(own " must not include " header)
    } else if (header ~ /^Eigen\//) {
      if (own == "kernels") complain("kernels never see Eigen")
      else if (header != "Eigen/Core") complain("only Eigen/Core, " header " costs every user")
    } else if (header ~ /^nlohmann\//) {
      if (own != "io") complain("only io/ reads JSON")
    } else if (header == "sys/mman.h") {
      if (self != "io/mapped_file.hpp") complain("only io/mapped_file.hpp maps files")
    } else if (header == "omp.h") {
      if (self != "parallel/openmp.hpp") complain("only parallel/openmp.hpp knows OpenMP")
    } else if (header == "random") {
      if (self != "core/random.hpp") complain("<random> is for core/random.hpp alone")
    } else if (header == "mpi.h") {
      if (self !~ /^communicators\/mpi_/) complain("only communicators/mpi_*.hpp know MPI")
    } else if (header == "thread" || header == "mutex" || header == "condition_variable") {
      if (self !~ /^(parallel\/thread_pool|communicators\/(thread_ranks|mpi_exchange))\.hpp$/)
        complain("<" header "> is for parallel/thread_pool.hpp and communicators/{thread_ranks,mpi_exchange}.hpp alone")
    } else if (header ~ /^(iostream|ranges|functional|regex|filesystem)$/) {
      if (own != "io" || header != "filesystem") complain("<" header "> costs every user")
    }
  }
  END { exit bad }'
