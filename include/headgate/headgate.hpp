// SPDX-License-Identifier: BSD-3-Clause
// Everything but files, published models, threads, ranks and test helpers: those are headgate/io/, headgate/models/,
// headgate/parallel/, headgate/communicators/ with headgate/expert_parallel_*.hpp, and headgate/testing/.
#pragma once

#include <headgate/activations/activations.hpp>
#include <headgate/dense_layer.hpp>
#include <headgate/experts/constant.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/experts/sigmoid_gated.hpp>
#include <headgate/experts/with_free_experts.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/batch_sums.hpp>
#include <headgate/losses/communication_balance.hpp>
#include <headgate/losses/counted_choices.hpp>
#include <headgate/losses/cross_entropy.hpp>
#include <headgate/losses/device_balance.hpp>
#include <headgate/losses/entropy.hpp>
#include <headgate/losses/global_balance.hpp>
#include <headgate/losses/importance.hpp>
#include <headgate/losses/load.hpp>
#include <headgate/losses/loss_values.hpp>
#include <headgate/losses/mean_squared_error.hpp>
#include <headgate/losses/mutual_information.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/selection_bias.hpp>
#include <headgate/losses/sequence_balance.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/norms/rms_norm.hpp>
#include <headgate/optim/adamw.hpp>
#include <headgate/optim/clip_gradient_norm.hpp>
#include <headgate/optim/schedules.hpp>
#include <headgate/optim/sgd.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/routing/routing_trace.hpp>
#include <headgate/routing/telemetry.hpp>
#include <headgate/routing/telemetry_table.hpp>
#include <headgate/version.hpp>
