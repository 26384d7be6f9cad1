// SPDX-License-Identifier: BSD-3-Clause
// Looking at a router and laying hands on it: telemetry, another k, experts off, and a routing that is replayed.
#include <headgate/headgate.hpp>
#include <headgate/io/routing_trace_file.hpp>
#include <headgate/io/telemetry_lines.hpp>

#include <cstdio>
#include <filesystem>

namespace hg = headgate;

int main() {
  const hg::layer layer{hg::renormalised_topk_gate<float>{.head = {.model = 32, .experts = 8}, .select = {.k = 2}},
                        hg::swiglu_expert<float>{.model = 32, .hidden = 64}, /*seed=*/42};
  std::mt19937_64 random(1);
  const auto x = hg::randn<float>(100, 32, random);
  hg::matrix<float> y, z;
  decltype(layer)::workspace memory;

  // Telemetry: one object for each layer, any number of batches.
  hg::routing_telemetry telemetry;
  layer.forward(x, y, memory);
  telemetry.add(memory.routing, memory.plan);
  std::fputs(hg::telemetry_table("block 0", telemetry).c_str(), stdout);
  const hg::named_telemetry layers[] = {{"block 0", telemetry}};
  std::fputs(hg::telemetry_lines(layers).c_str(), stdout);

  // Recorded here, replayed below.
  hg::routing_trace<float> trace;
  trace.append(memory.routing);
  const auto path = std::filesystem::temp_directory_path() / "headgate_example_10.jsonl";
  hg::save_routing_trace(trace, path);

  memory.steering.k = 1;  // half of the experts' work
  layer.forward(x, z, memory);
  std::printf("k = 1: %.2f away\n", static_cast<double>((z - y).norm() / y.norm()));

  memory.steering = {.k = 2, .skip = 1};  // ranks 1 and 2 instead of 0 and 1
  layer.forward(x, z, memory);
  std::printf("without the best: %.2f away\n", static_cast<double>((z - y).norm() / y.norm()));

  memory.steering = {.off = {3, 5}};  // as if they were not there
  layer.forward(x, z, memory);
  const auto load = memory.routing.load();
  std::printf("experts 3 and 5: %td and %td tokens\n", load[3], load[5]);
  bool right = load[3] == 0 && load[5] == 0;

  // Training on a routing that somebody else chose: the weights are of the present scores, so the router learns.
  const auto read = hg::load_routing_trace<float>(path);
  decltype(layer)::tape tape;
  tape.steering.forced = &read[0];
  auto grads = layer.zero_gradients();
  hg::matrix<float> dx;
  layer.forward(x, z, tape);
  layer.backward(x, /*dy=*/z, tape, dx, grads);
  right = right && z == y && grads.gate.head.weight.norm() > 0;

  // Or with the weights of the record: not even the router's numbers matter any more.
  tape.steering.weights = hg::forced_weights::recorded;
  grads = layer.zero_gradients();
  layer.forward(x, z, tape);
  layer.backward(x, /*dy=*/z, tape, dx, grads);
  right = right && z == y && grads.gate.head.weight.norm() == 0;
  std::printf("replayed: %s\n", right ? "the same bits" : "something else");
  std::filesystem::remove(path);
  return right ? 0 : 1;
}
