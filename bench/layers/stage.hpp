// SPDX-License-Identifier: BSD-3-Clause
// What the benchmarks of one shape, number of tokens and routing share: layers, batches, the right answer, contenders.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "layers/inputs.hpp"
#include "layers/subject.hpp"

namespace headgate_bench {

class stage {
 public:
  /// The stage that was set up before, if there is one. A benchmark of another number of tokens ends all earlier stages, one
  /// of another shape also frees the layers: the next one needs the memory.
  static stage& of(const shape& s, hg::index tokens, spread kind);

  stage(const shape& s, subject& layers, hg::index tokens, spread kind);

  [[nodiscard]] const shape& sizes() const { return shape_; }
  [[nodiscard]] subject& layers() const { return layers_; }
  [[nodiscard]] const batch_of_tokens& batch(hg::index i) const {
    return batches_[static_cast<std::size_t>(i) % batches_.size()];
  }
  [[nodiscard]] hg::index tokens() const { return batch(0).x.rows(); }

  /// The first batch through the first bank, by hand with Eigen.
  [[nodiscard]] const hg::matrix<float>& expected();

  /// The contender of this type and number of threads, which keeps its buffers from repetition to repetition. `check` is
  /// called once, when it is new: it warms the contender up and throws if its answer is wrong.
  template <class Contender>
  [[nodiscard]] Contender& contender(hg::index threads, const std::function<void(Contender&)>& check) {
    auto& one = contenders_[{typeid(Contender), threads}];
    if (!one) {
      auto made = std::make_shared<Contender>(*this, threads);
      check(*made);
      one = made;
    }
    return *static_cast<Contender*>(one.get());
  }

 private:
  const shape& shape_;
  subject& layers_;
  std::vector<batch_of_tokens> batches_;
  hg::matrix<float> expected_;
  std::map<std::pair<std::type_index, hg::index>, std::shared_ptr<void>> contenders_;
};

/// Throws if `got` is further from `expected` than `tolerance`, in relation to its norm, or not finite.
void check_close(const hg::matrix<float>& got, const hg::matrix<float>& expected, float tolerance,
                 const std::string& what);

}  // namespace headgate_bench
