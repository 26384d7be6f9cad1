// SPDX-License-Identifier: BSD-3-Clause
// The classifier of all three runs: one block with a residual connection, and a linear head.
#pragma once

#include "data.hpp"

#include <headgate/dense_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/losses/cross_entropy.hpp>

namespace demo {

/// logits = head(x + body(x))     x (digits x pixels), logits (digits x classes)
///
/// Body is an hg::layer or an hg::dense_layer. Holds the tapes and gradients of training as well, because here one
/// thread of control uses the model; a server would keep them per thread.
template <class Body>
class classifier {
 public:
  using matrix = hg::matrix<float>;

  classifier(Body body, std::uint64_t seed)
      : body_(std::move(body)), head_({.model = pixels, .outputs = classes}, hg::random_stream{seed}.channel(1).seed) {}

  [[nodiscard]] Body& body() { return body_; }
  [[nodiscard]] typename Body::tape& tape() { return body_tape_; }

  /// Inference and training alike. The logits stay valid until the next call.
  template <hg::executor Executor>
  const matrix& forward(const Executor& executor, const matrix& x) {
    body_.forward(executor, x, features_, body_tape_);
    features_ += x;
    head_.forward(executor, features_, logits_, head_tape_);
    return logits_;
  }

  /// Gradients of the mean cross entropy of the last forward plus the routing losses. Returns the cross entropy.
  template <hg::executor Executor, class... RoutingLosses>
  double backward(const Executor& executor, const matrix& x, const std::vector<index>& labels,
                  const RoutingLosses&... losses) {
    const float loss = hg::cross_entropy<float>(logits_, labels, dlogits_);
    body_.set_zero(body_gradients_);
    head_.set_zero(head_gradients_);
    head_.backward(executor, features_, dlogits_, head_tape_, dfeatures_, head_gradients_);
    body_.backward(executor, x, dfeatures_, body_tape_, dx_, body_gradients_, losses...);
    return static_cast<double>(loss);
  }

  /// Visits (name, parameter, gradient) of both parts: what an optimiser walks.
  template <class Visitor>
  void for_each_parameter(Visitor&& visit) {
    body_.for_each_parameter(body_gradients_, visit);
    head_.for_each_parameter(head_gradients_, visit);
  }

  [[nodiscard]] index parameters() {
    index count = 0;
    for_each_parameter([&](std::string_view, const matrix& w, const matrix&) { count += w.size(); });
    return count;
  }

 private:
  using head = hg::dense_layer<hg::linear_expert<float, hg::dynamic, hg::dynamic, hg::biases::used>>;

  Body body_;
  head head_;
  typename Body::tape body_tape_;
  typename head::tape head_tape_;
  typename Body::gradients body_gradients_ = body_.zero_gradients();
  typename head::gradients head_gradients_ = head_.zero_gradients();
  matrix features_, logits_, dlogits_, dfeatures_, dx_;
};

}  // namespace demo
