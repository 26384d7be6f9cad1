// SPDX-License-Identifier: BSD-3-Clause
// Hidden states from files.
#pragma once

#include <headgate/core/matrix.hpp>

#include <string>

namespace run_checkpoint {

using headgate::index;
using hidden_states = headgate::matrix<float>;  // (tokens x model)

/// Reads x.npy or FILE.safetensors:TENSOR; of a file with one tensor, the name may be left out. Dimensions before the last
/// are folded into tokens. F16 and BF16 are widened, F64 is rounded.
[[nodiscard]] hidden_states read_states(const std::string& input);

/// Tensor 'output' of the safetensors file that `input` names.
[[nodiscard]] hidden_states read_expected(const std::string& input);

}  // namespace run_checkpoint
