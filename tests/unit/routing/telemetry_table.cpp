// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/telemetry_table.hpp>

#include "support/catch.hpp"

#include <string>

namespace hg = headgate;

namespace {

hg::routing_telemetry some() {
  hg::routing<float> r;
  r.reset(4, 3);
  for (const hg::index e : {0, 2, 2, 0}) r.assignments.push_back({r.assignments.size(), e, 1.0F});
  r.assignments.push_back({0, 2, 1.0F});
  hg::dispatch_plan plan;
  plan.make(r, hg::capacity{.factor = 1});
  hg::routing_telemetry t;
  t.add(r, plan);
  return t;
}

}  // namespace

TEST_CASE("a table has one line a layer, then one an expert", "[routing][telemetry_table]") {
  const hg::routing_telemetry first = some(), second(12);
  const hg::named_telemetry layers[] = {{"block 0", first},
                                        {"bl\xc3\xb6"
                                         "ck 11",
                                         second}};
  CHECK(hg::telemetry_table(layers, {.experts = false}) ==
        "layer     tokens  assigned  entropy  of max  max/mean  unused  dropped  top-1 p  mean z  mean z^2\n"
        "block 0        4         5    0.673   0.613      1.80       1   20.00%        -       -         -\n"
        "bl\xc3\xb6"
        "ck 11       0         0    0.000   0.000      0.00      12        -        -       -         -\n");
  const std::string all = hg::telemetry_table(layers);
  CHECK(all.find("\n\nblock 0\n"
                 "expert  load   share\n"
                 "0          2  40.00%  ###########################\n"
                 "1          0   0.00%\n"
                 "2          3  60.00%  ########################################\n"
                 "\n") != std::string::npos);
  CHECK(all.find("\nexpert  load  share\n0          0  0.00%\n") != std::string::npos);
  CHECK(all.find("\n11         0  0.00%\n") != std::string::npos);
}

TEST_CASE("bars may be left out, and one layer needs no list", "[routing][telemetry_table]") {
  const std::string text = hg::telemetry_table("a", some(), {.bars = false});
  CHECK(text.find('#') == std::string::npos);
  CHECK(text.find("\n2          3  60.00%\n") != std::string::npos);
  CHECK(hg::telemetry_table(std::span<const hg::named_telemetry>{}) ==
        "layer  tokens  assigned  entropy  of max  max/mean  unused  dropped  top-1 p  mean z  mean z^2\n");
}
