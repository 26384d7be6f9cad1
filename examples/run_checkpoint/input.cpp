// SPDX-License-Identifier: BSD-3-Clause
#include "input.hpp"

#include <headgate/core/array.hpp>
#include <headgate/io/npy.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors_file.hpp>

#include <algorithm>
#include <string_view>

namespace run_checkpoint {

namespace hg = headgate;

namespace {

struct place {
  std::string file;
  std::string tensor;  // may be empty
};

place place_of(const std::string& input) {
  constexpr std::string_view mark = ".safetensors:";  // a lone ':' may be a drive's
  const auto at = input.rfind(mark);
  if (at == input.npos) return {input, {}};
  return {input.substr(0, at + mark.size() - 1), input.substr(at + mark.size())};
}

hidden_states read_tensor(const place& from) {
  const hg::safetensors_file file(from.file);
  const bool named = !from.tensor.empty();
  if (!named && file.tensors().size() != 1)
    hg::refuse_file(from.file, "has ", file.tensors().size(), " tensors, say which one: FILE.safetensors:TENSOR");
  const hg::tensor_description* const tensor = named ? file.find(from.tensor) : &file.tensors().front();
  if (tensor == nullptr) hg::refuse_file(from.file, "has no tensor '", from.tensor, "'");
  if (tensor->shape.size() == 0) hg::refuse_file(from.file, "tensor '", tensor->name, "' is a single number");
  const index cols = tensor->shape[tensor->shape.size() - 1];
  const index rows = cols == 0 ? 0 : tensor->size() / cols;
  if (tensor->type != hg::dtype::f64) {
    hidden_states x(rows, cols);
    file.read(*tensor, x.data());
    return x;
  }
  hg::matrix<double> wide(rows, cols);
  file.read(*tensor, wide.data());
  return wide.cast<float>();
}

}  // namespace

hidden_states read_states(const std::string& input) {
  const bool npy = input.ends_with(".npy");
  hidden_states x = npy ? hg::read_npy<float>(input, hg::narrowing::rounded) : read_tensor(place_of(input));
  if (x.size() == 0) hg::refuse_file(input, "holds no hidden states: it is ", x.rows(), " x ", x.cols());
  return x;
}

hidden_states read_expected(const std::string& input) {
  const place from = place_of(input);
  if (!from.file.ends_with(".safetensors"))
    hg::refuse_file(from.file, "--check needs an --input from a safetensors file, which has a tensor 'output' too");
  return read_tensor({from.file, "output"});
}

}  // namespace run_checkpoint
