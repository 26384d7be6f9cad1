// SPDX-License-Identifier: BSD-3-Clause
// Blocks of published models against what the models' own code computed (tests/fixtures/hf_moe/README.md).
#pragma once

#include <headgate/io/moe_block.hpp>
#include <headgate/io/safetensors_file.hpp>
#include <headgate/models/tensor_part.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace headgate_test {
namespace hg = headgate;

/// The largest errors of a family: max |ours - theirs| / max |theirs| over a tensor.
struct conformance_result {
  std::string family;  ///< the family's own name
  std::string folder;
  double output = 0;
  double input_gradient = 0;
  double router_gradient = 0;
  double expert_gradient = 0;
};

/// A family with a fixture: what compares the two.
struct conformance_case {
  std::string folder;
  std::function<conformance_result()> run;
};

/// All that a program links; filled before main by `conformance_of` objects.
inline std::vector<conformance_case>& conformance_cases() {
  static std::vector<conformance_case> all;
  return all;
}

[[nodiscard]] inline std::filesystem::path fixture_folder(const std::string& family) {
  return std::filesystem::path(HEADGATE_FIXTURES) / "hf_moe" / family;
}

/// All elements of a tensor of a file.
[[nodiscard]] inline std::vector<float> values_of(hg::safetensors_file& file, const std::string& name) {
  const hg::tensor_description* const tensor = file.find(name);
  if (tensor == nullptr) throw std::runtime_error(file.path() + " has no " + name);
  std::vector<float> values(static_cast<std::size_t>(tensor->size()));
  file.read(*tensor, values.data());
  return values;
}
[[nodiscard]] inline hg::matrix<float> matrix_of(hg::safetensors_file& file, const std::string& name) {
  const std::vector<float> values = values_of(file, name);
  const hg::tensor_description& tensor = *file.find(name);
  return Eigen::Map<const hg::matrix<float>>(values.data(), tensor.shape[0], tensor.shape[1]);
}

/// max |a - b| / max |b|
template <class A, class B>
[[nodiscard]] double relative_error(const A& a, const B& b) {
  const hg::matrix<double> theirs = b.template cast<double>();
  const double scale = theirs.cwiseAbs().maxCoeff();
  return (a.template cast<double>() - theirs).cwiseAbs().maxCoeff() / (scale > 0 ? scale : 1);
}

/// Compares a tensor `name` with the matrices that are its parts. Elements that no part covers must be zero.
class tensor_comparison {
 public:
  explicit tensor_comparison(std::vector<float> theirs) : theirs_(std::move(theirs)), ours_(theirs_.size(), 0.0) {}

  template <class Matrix>
  void add(const Matrix& matrix, const hg::tensor_part& part) {
    for (hg::index r = 0; r < part.rows; ++r)
      for (hg::index c = 0; c < part.cols; ++c)
        ours_.at(static_cast<std::size_t>(part.position(r, c))) = static_cast<double>(matrix(r, c));
  }
  [[nodiscard]] double error() const {
    double worst = 0, scale = 0;
    for (std::size_t i = 0; i < theirs_.size(); ++i) {
      worst = std::max(worst, std::abs(ours_[i] - static_cast<double>(theirs_[i])));
      scale = std::max(scale, std::abs(static_cast<double>(theirs_[i])));
    }
    return worst / (scale > 0 ? scale : 1);
  }

 private:
  std::vector<float> theirs_;
  std::vector<double> ours_;
};

/// Loads the block of the fixture's layer 0, runs it forward and backward and compares. `gradients(shape, grads, f)` calls
/// f(matrix, tensor_part) as a family's `tensors` does, with the layout that the model's code has in memory.
template <class Family, class T, class Gradients>
[[nodiscard]] conformance_result run_conformance(const std::string& folder, const Gradients& gradients) {
  hg::safetensors_file io(fixture_folder(folder) / "block_io.safetensors");
  const auto block = hg::load_moe_block<Family, T>(fixture_folder(folder), 0);
  const hg::matrix<T> x = matrix_of(io, "input").template cast<T>();
  const hg::matrix<T> dy = matrix_of(io, "grad_output").template cast<T>();
  typename hg::moe_block<Family, T>::tape tape;
  tape.training = false;
  auto grads = block.zero_gradients();
  hg::matrix<T> y, dx;
  block.forward(x, y, tape);
  block.backward(x, dy, tape, dx, grads);

  conformance_result result{std::string(Family::name), folder};
  result.output = relative_error(y, matrix_of(io, "output"));
  result.input_gradient = relative_error(dx, matrix_of(io, "grad_input"));
  std::map<std::string, tensor_comparison> tensors;
  gradients(block.shape(), grads, [&](const auto& matrix, const hg::tensor_part& part) {
    tensors.try_emplace(part.name, values_of(io, "grad." + part.name)).first->second.add(matrix, part);
  });
  std::size_t compared = 0;
  for (const hg::tensor_description& tensor : io.tensors())
    if (tensor.name.starts_with("grad.")) ++compared;
  if (compared != tensors.size()) throw std::runtime_error("the fixture has gradients that nothing was compared with");
  for (const auto& [name, tensor] : tensors) {
    const bool router = name.find("router") != name.npos || name.starts_with("gate.");
    double& worst = router ? result.router_gradient : result.expert_gradient;
    worst = std::max(worst, tensor.error());
  }
  return result;
}

/// Puts a family on the list: `const conformance_of<hg::mixtral> mixtral("mixtral", gradients)`.
template <class Family>
struct conformance_of {
  template <class Gradients>
  conformance_of(const std::string& folder, const Gradients& gradients) {
    conformance_cases().push_back(
        {folder, [folder, gradients] { return run_conformance<Family, float>(folder, gradients); }});
  }
};

}  // namespace headgate_test
