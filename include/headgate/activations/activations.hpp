// SPDX-License-Identifier: BSD-3-Clause
// All activations.
#pragma once

#include <headgate/activations/clamped_swiglu.hpp>
#include <headgate/activations/elu.hpp>
#include <headgate/activations/gelu.hpp>
#include <headgate/activations/gelu_tanh.hpp>
#include <headgate/activations/identity.hpp>
#include <headgate/activations/leaky_relu.hpp>
#include <headgate/activations/mish.hpp>
#include <headgate/activations/relu.hpp>
#include <headgate/activations/relu_squared.hpp>
#include <headgate/activations/selu.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/activations/silu.hpp>
#include <headgate/activations/softplus.hpp>
#include <headgate/activations/swish.hpp>
#include <headgate/activations/tanh.hpp>
