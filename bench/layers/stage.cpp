// SPDX-License-Identifier: BSD-3-Clause
#include "layers/stage.hpp"

#include <headgate/core/error.hpp>

#include "layers/by_hand.hpp"

namespace headgate_bench {

stage& stage::of(const shape& s, hg::index tokens, spread kind) {
  static const shape* shape_now = nullptr;
  static hg::index tokens_now = 0;
  static std::unique_ptr<subject> layers;
  static std::map<spread, stage> stages;
  if (shape_now != &s || tokens_now != tokens) stages.clear();
  if (shape_now != &s) {
    layers.reset();
    layers = std::make_unique<subject>(s);
  }
  shape_now = &s;
  tokens_now = tokens;
  return stages.try_emplace(kind, s, *layers, tokens, kind).first->second;
}

stage::stage(const shape& s, subject& layers, hg::index tokens, spread kind)
    : shape_(s), layers_(layers), batches_(make_batches(s, tokens, kind)) {}

const hg::matrix<float>& stage::expected() {
  if (expected_.size() == 0) by_hand<eigen_products>{}.forward(layers_.banks().front(), batch(0).x, expected_);
  return expected_;
}

void check_close(const hg::matrix<float>& got, const hg::matrix<float>& expected, float tolerance,
                 const std::string& what) {
  if (got.rows() != expected.rows() || got.cols() != expected.cols())
    hg::refuse(what, " is ", got.rows(), " x ", got.cols(), ", it must be ", expected.rows(), " x ", expected.cols());
  const float distance = (got - expected).norm() / expected.norm();
  if (!(distance <= tolerance))
    hg::refuse(what, " is wrong: its distance from Eigen by hand is ", distance, " of the norm, ", tolerance,
               " would be right");
}

}  // namespace headgate_bench
