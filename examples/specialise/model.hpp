// SPDX-License-Identifier: BSD-3-Clause
// A small language model of bytes with a sparse mixture in each block.
#pragma once

#include "mixing.hpp"
#include "settings.hpp"

#include <headgate/dense_layer.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/cross_entropy.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/norms/rms_norm.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace specialise {

inline constexpr index vocabulary = 256;

/// h = embedding[bytes];  in each block  h += mix(norm(h)),  h += moe(norm(h));  logits = output(norm(h))
///
/// mix is a causal convolution within the sequence and a linear map after it; h (bytes x model), logits (bytes x 256). Rows are
/// whole sequences, one after the other. Parameters, tapes and gradients are separate, as those of a layer.
template <std::floating_point T>
class language_model {
  using norm = hg::dense_layer<hg::rms_norm<T>>;
  using convolution = hg::dense_layer<causal_convolution<T>>;
  using linear = hg::dense_layer<hg::linear_expert<T>>;
  using mixture = hg::layer<hg::renormalised_topk_gate<T>, hg::swiglu_expert<T>>;
  using matrix = hg::matrix<T>;

  struct block {
    norm before_mixing;
    convolution convolve;
    linear project;
    norm before_moe;
    mixture moe;
  };

 public:
  struct block_gradients {
    typename norm::gradients before_mixing;
    typename convolution::gradients convolve;
    typename linear::gradients project;
    typename norm::gradients before_moe;
    typename mixture::gradients moe;
  };
  struct gradients {
    matrix embedding;
    std::vector<block_gradients> blocks;
    typename norm::gradients before_output;
    typename linear::gradients output;
  };

  struct block_tape {
    matrix h, normed, convolved, middle, middle_normed;  // (bytes x model)
    typename norm::tape before_mixing;
    typename convolution::tape convolve;
    typename linear::tape project;
    typename norm::tape before_moe;
    typename mixture::tape moe;
  };
  /// What a backward needs of the forward before it, reused by the next.
  struct tape {
    std::vector<block_tape> blocks;
    matrix h, normed;
    matrix dlogits;  // of the mean cross entropy, (bytes x 256)
    typename norm::tape before_output;
    typename linear::tape output;
  };
  /// Memory of a backward, shared by all tapes.
  struct workspace {
    matrix dh, da, db;
  };

  language_model(const model_sizes& sizes, std::uint64_t seed)
      : before_output_({.model = sizes.model}, 0),
        output_({.model = sizes.model, .outputs = vocabulary}, seed_of(seed, 0)) {
    std::mt19937_64 generator(seed_of(seed, 1));
    embedding_ = hg::randn<T>(vocabulary, sizes.model, generator);
    for (index l = 0; l < sizes.layers; ++l) {
      const auto own = [&](index part) { return seed_of(seed, 3 * l + part); };
      blocks_.push_back(
          block{norm({.model = sizes.model}, 0),
                convolution({.model = sizes.model, .taps = sizes.taps, .sequence = sizes.sequence}, own(2)),
                linear({.model = sizes.model, .outputs = sizes.model}, own(3)), norm({.model = sizes.model}, 0),
                mixture({.head = {.model = sizes.model, .experts = sizes.experts}, .select = {.k = sizes.k}},
                        {.model = sizes.model, .hidden = sizes.hidden}, own(4))});
    }
  }

  [[nodiscard]] index layers() const { return static_cast<index>(blocks_.size()); }

  /// Returns the mean cross entropy of `next` (bytes), in nats.
  T forward(std::span<const index> bytes, std::span<const index> next, tape& memory) const {
    const auto rows = static_cast<index>(bytes.size());
    memory.blocks.resize(blocks_.size());
    memory.h.resize(rows, embedding_.cols());
    for (index t = 0; t < rows; ++t) memory.h.row(t) = embedding_.row(bytes[static_cast<std::size_t>(t)]);
    for (std::size_t l = 0; l < blocks_.size(); ++l) {
      const block& one = blocks_[l];
      block_tape& own = memory.blocks[l];
      own.h.swap(memory.h);
      one.before_mixing.forward(own.h, own.normed, own.before_mixing);
      one.convolve.forward(own.normed, own.convolved, own.convolve);
      one.project.forward(own.convolved, own.middle, own.project);
      own.middle += own.h;
      one.before_moe.forward(own.middle, own.middle_normed, own.before_moe);
      one.moe.forward(own.middle_normed, memory.h, own.moe);
      memory.h += own.middle;
    }
    before_output_.forward(memory.h, memory.normed, memory.before_output);
    output_.forward(memory.normed, memory.dlogits, memory.output);
    return hg::cross_entropy<T>(memory.dlogits, next, memory.dlogits);
  }

  /// Adds to `grads` the gradients of share * (the last forward's cross entropy) + balance(l)(routing of layer l) +
  /// router_z * share (the plain z-loss). `balance(l)` gives a routing loss.
  template <class Balance>
  void backward(std::span<const index> bytes, tape& memory, T share, const Balance& balance, T router_z,
                workspace& work, gradients& grads) const {
    memory.dlogits *= share;
    output_.backward(memory.normed, memory.dlogits, memory.output, work.da, grads.output);
    before_output_.backward(memory.h, work.da, memory.before_output, work.dh, grads.before_output);
    for (std::size_t l = blocks_.size(); l-- > 0;) {
      const block& one = blocks_[l];
      block_tape& own = memory.blocks[l];
      block_gradients& d = grads.blocks[l];
      one.moe.backward(own.middle_normed, work.dh, own.moe, work.da, d.moe, balance(static_cast<index>(l)),
                       hg::router_z<T>{.weight = router_z * share});
      one.before_moe.backward(own.middle, work.da, own.before_moe, work.db, d.before_moe);
      work.dh += work.db;
      one.project.backward(own.convolved, work.dh, own.project, work.da, d.project);
      one.convolve.backward(own.normed, work.da, own.convolve, work.db, d.convolve);
      one.before_mixing.backward(own.h, work.db, own.before_mixing, work.da, d.before_mixing);
      work.dh += work.da;
    }
    for (index t = 0; t < work.dh.rows(); ++t)
      grads.embedding.row(bytes[static_cast<std::size_t>(t)]) += work.dh.row(t);
  }

  [[nodiscard]] gradients zero_gradients() const {
    gradients zero;
    zero.embedding = matrix::Zero(embedding_.rows(), embedding_.cols());
    for (const block& one : blocks_)
      zero.blocks.push_back({one.before_mixing.zero_gradients(), one.convolve.zero_gradients(),
                             one.project.zero_gradients(), one.before_moe.zero_gradients(), one.moe.zero_gradients()});
    zero.before_output = before_output_.zero_gradients();
    zero.output = output_.zero_gradients();
    return zero;
  }

  /// f(name, w, dw) for every parameter, in a fixed order: what an optimiser walks.
  template <class F>
  void for_each_parameter(gradients& grads, F&& f) {
    hg::field_path path;
    const auto part = [&](std::string_view name, auto& module, auto& d) {
      const auto inside = path.enter(name);
      module.for_each_parameter(d, [&](std::string_view field, auto& w, auto& dw) {
        const auto deeper = path.enter(field);
        f(path.text(), w, dw);
      });
    };
    f(std::string_view("embedding"), embedding_, grads.embedding);
    {
      const auto inside = path.enter("blocks");
      for (std::size_t l = 0; l < blocks_.size(); ++l) {
        const auto numbered = path.enter(static_cast<index>(l));
        block& one = blocks_[l];
        block_gradients& d = grads.blocks[l];
        part("before_mixing", one.before_mixing, d.before_mixing);
        part("convolve", one.convolve, d.convolve);
        part("project", one.project, d.project);
        part("before_moe", one.before_moe, d.before_moe);
        part("moe", one.moe, d.moe);
      }
    }
    part("before_output", before_output_, grads.before_output);
    part("output", output_, grads.output);
  }

 private:
  static std::uint64_t seed_of(std::uint64_t seed, index part) {
    return hg::random_stream{seed}.channel(2).channel(static_cast<std::uint64_t>(part)).seed;
  }

  matrix embedding_;
  std::vector<block> blocks_;
  norm before_output_;
  linear output_;
};

}  // namespace specialise
