// SPDX-License-Identifier: BSD-3-Clause
// What a reader refuses is tested with whole files in routing_trace_file.cpp.
#include <headgate/io/routing_trace_reader.hpp>

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace hg = headgate;

TEST_CASE("a reader takes a line's numbers and forgets those of the line before", "[io][routing_trace_reader]") {
  const std::string path = "f";
  hg::routing_trace_reader line(path);
  line.read("{\"headgate_routing_trace\":1,\"experts\":8,\"tokens\":[2,1]}", true);
  CHECK((line.line() == 1 && line.version == 1 && line.experts == 8));
  CHECK(line.tokens == std::vector<hg::index>{2, 1});
  line.read("{\"pass\":3,\"token\":5,\"experts\":[3,7],\"weights\":[0.5,-1]}", false);
  CHECK((line.line() == 2 && line.pass == 3 && line.token == 5 && line.has_weights()));
  CHECK(line.ids == std::vector<hg::index>{3, 7});
  CHECK(line.weights == std::vector<double>{0.5, -1});
  line.read("{\"pass\":3,\"token\":6,\"experts\":[1]}", false);
  CHECK((line.token == 6 && !line.has_weights() && line.weights.empty()));
  CHECK(line.ids == std::vector<hg::index>{1});
  CHECK(line.tokens.size() == 2);  // the header's
  CHECK_THROWS_WITH(line.read("{\"pass\":3}", false), "f: line 4 has no token");
}
