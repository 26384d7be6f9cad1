// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/routing_trace.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

hg::routing<double> record_of(hg::index tokens, hg::index experts) {
  hg::routing<double> r;
  r.reset(tokens, experts);
  for (hg::index t = 0; t < tokens; ++t) r.assignments.push_back({t, (t + 1) % experts, 0.5});
  return r;
}

}  // namespace

TEST_CASE("a trace gives back its passes in their order", "[routing][routing_trace]") {
  hg::routing_trace<double> trace;
  CHECK((trace.empty() && trace.size() == 0 && trace.experts() == 0));
  trace.append(record_of(3, 4));
  trace.append(record_of(1, 4), hg::record_weights::no);
  trace.append(record_of(0, 4));
  CHECK((trace.size() == 3 && trace.experts() == 4));
  CHECK((trace[0].tokens() == 3 && trace[0].has_weights() && trace[0].experts_of(2)[0] == 3));
  CHECK((trace[1].tokens() == 1 && !trace[1].has_weights()));
  hg::index tokens = 0;
  for (const auto& pass : trace) tokens += pass.tokens();
  CHECK(tokens == 4);
  trace.clear();
  CHECK(trace.empty());
}

TEST_CASE("a trace refuses passes of another number of experts and stays as it was", "[routing][routing_trace]") {
  hg::routing_trace<double> trace;
  trace.append(record_of(3, 4));
  CHECK(refusal([&] { trace.append(record_of(3, 5)); }) == "routing_trace: a pass of 5 experts, those before have 4");
  CHECK(trace.size() == 1);
  trace.clear();
  trace.append(record_of(3, 5));
  CHECK(trace.experts() == 5);
}
