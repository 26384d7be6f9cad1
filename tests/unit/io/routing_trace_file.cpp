// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/routing_trace_file.hpp>

#include "support/layer_checks.hpp"
#include "support/own_path.hpp"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

using namespace headgate_test;
namespace fs = std::filesystem;

namespace {

struct test_file {
  fs::path path = own_path("headgate_routing_trace_file_test.jsonl");
  ~test_file() { fs::remove(path); }

  void put(const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }
  [[nodiscard]] std::string content() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

template <class T>
bool same_trace(const hg::routing_trace<T>& a, const hg::routing_trace<T>& b) {
  bool same = a.size() == b.size() && a.experts() == b.experts();
  for (hg::index p = 0; same && p < a.size(); ++p) {
    same = a[p].tokens() == b[p].tokens() && (a[p].has_weights() == b[p].has_weights() || a[p].tokens() == 0);
    for (hg::index t = 0; same && t < a[p].tokens(); ++t) {
      const auto ids = a[p].experts_of(t), other_ids = b[p].experts_of(t);
      const auto weights = a[p].weights_of(t), other_weights = b[p].weights_of(t);
      same = ids.size() == other_ids.size() && weights.size() == other_weights.size();
      for (std::size_t i = 0; same && i < ids.size(); ++i) same = ids[i] == other_ids[i];
      for (std::size_t i = 0; same && i < weights.size(); ++i) same = same_bits(weights[i], other_weights[i]);
    }
  }
  return same;
}

/// What the reader says of a file with this text, without the path.
std::string said(const std::string& text) {
  const test_file file;
  file.put(text);
  try {
    (void)hg::load_routing_trace<float>(file.path);
  } catch (const std::runtime_error& e) {
    const std::string what = e.what(), start = file.path.string() + ": ";
    CHECK(what.substr(0, start.size()) == start);
    return what.substr(start.size());
  }
  return {};
}

const std::string header = "{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":[2]}\n";
const std::string first = "{\"pass\":0,\"token\":0,\"experts\":[3,1],\"weights\":[0.5,1]}\n";
const std::string second = "{\"pass\":0,\"token\":1,\"experts\":[],\"weights\":[]}\n";

}  // namespace

TEMPLATE_TEST_CASE("a trace reads back to the same bits", "[io][routing_trace_file]", float, double) {
  using T = TestType;
  using limits = std::numeric_limits<T>;
  const test_file file;
  hg::routing_trace<T> trace;
  hg::save_routing_trace(trace, file.path);
  CHECK(hg::load_routing_trace<T>(file.path).empty());
  const std::vector<T> special = {limits::denorm_min(),
                                  -(limits::min)(),
                                  (limits::max)(),
                                  T(-0.0),
                                  T(0.1),
                                  T(1) / T(3),
                                  std::nextafter(T(1), T(2)),
                                  T(7)};
  for (int p = 0; p < 5; ++p) {
    const auto weights = p == 3 ? hg::record_weights::no : hg::record_weights::yes;
    hg::recorded_pass<T> pass(9, weights);
    const auto numbers = random_matrix<T>(40, 8, {static_cast<std::uint64_t>(p)});
    for (hg::index t = 0; t < (p == 2 ? 0 : 40); ++t) {
      std::vector<hg::index> ids;
      std::vector<T> of;
      for (hg::index i = 0; i < t % 9; ++i) {
        ids.push_back((t + 2 * i) % 9);
        of.push_back(t == 8 ? special[static_cast<std::size_t>(i)] : numbers(t, i) * std::pow(T(10), T(t - 20)));
      }
      pass.append(ids, p == 3 ? std::vector<T>{} : of);
    }
    trace.append(pass);
  }
  hg::save_routing_trace(trace, file.path);
  CHECK(same_trace(hg::load_routing_trace<T>(file.path), trace));
}

TEST_CASE("a trace is written as a header and one line a token", "[io][routing_trace_file]") {
  const test_file file;
  hg::routing_trace<double> trace;
  hg::recorded_pass<double> pass(4), bare(4, hg::record_weights::no);
  pass.append(std::vector<hg::index>{3, 1}, std::vector<double>{0.625, -2});
  pass.append({}, {});
  bare.append(std::vector<hg::index>{2}, {});
  trace.append(pass);
  trace.append(bare);
  hg::save_routing_trace(trace, file.path);
  CHECK(file.content() ==
        "{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":[2,1]}\n"
        "{\"pass\":0,\"token\":0,\"experts\":[3,1],\"weights\":[0.625,-2.0]}\n"
        "{\"pass\":0,\"token\":1,\"experts\":[],\"weights\":[]}\n"
        "{\"pass\":1,\"token\":0,\"experts\":[2]}\n");
}

TEST_CASE("keys may stand in any order, weights may be whole, and the last line need not end",
          "[io][routing_trace_file]") {
  CHECK(said(header + first + second).empty());
  CHECK(said(header + first + second.substr(0, second.size() - 1)).empty());
  CHECK(said(" { \"tokens\" : [1], \"experts\":4,\"headgate_routing_trace\":1}\r\n"
             "{\"weights\":[-1, 2.5e-3],\"token\":0,\"experts\":[0,3],\"pass\":0}\r\n")
            .empty());
}

TEST_CASE("a fault of a trace file is one sentence with the line", "[io][routing_trace_file]") {
  CHECK(said("") == "is empty, expected a header line");
  CHECK(said("\n").substr(0, 29) == "line 1 is not JSON at its byt");
  CHECK(said("[]\n") == "line 1 is an array, expected an object");
  CHECK(said("7\n") == "line 1 is the number 7, expected an object");
  CHECK(said("{}\n") == "line 1 has no headgate_routing_trace");
  CHECK(said("{\"headgate_routing_trace\":2,\"experts\":4,\"tokens\":[]}") == "line 1 says version 2, known is 1");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":0,\"tokens\":[1]}") ==
        "line 1 says 0 experts, expected 1 to 1048576");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":1099511627776,\"tokens\":[1]}") ==
        "line 1 says 1099511627776 experts, expected 1 to 1048576");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":3}") ==
        "line 1 has the number 3 in tokens, expected an array of numbers");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":[4],\"tokens\":[]}") ==
        "line 1 has an array in experts, expected a number that counts");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":[[1]]}") ==
        "line 1 has an array in tokens, expected an array of numbers");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":[-1]}") ==
        "line 1 has the number -1 in tokens, expected an array of numbers");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":[18446744073709551615]}") ==
        "line 1 has the number 18446744073709551615 in tokens, expected an array of numbers");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":[9223372036854775807]}") ==
        "ends after line 1, token 0 of pass 0 is missing");  // and asks for no memory

  const auto token = [](const std::string& line) { return said(header + first + line + "\n"); };
  CHECK(said(header) == "ends after line 1, token 0 of pass 0 is missing");
  CHECK(said(header + first) == "ends after line 2, token 1 of pass 0 is missing");
  CHECK(token("").substr(0, 29) == "line 3 is not JSON at its byt");
  CHECK(said(header + first + first) == "line 3 is of token 0 of pass 0, expected token 1 of pass 0");
  CHECK(said(header + second) == "line 2 is of token 1 of pass 0, expected token 0 of pass 0");
  CHECK(said(header + first + second + "\n") == "goes on after line 3, with which all tokens of its header are there");
  CHECK(token("{\"pass\":1,\"token\":0,\"experts\":[],\"weights\":[]}") ==
        "line 3 is of token 0 of pass 1, expected token 1 of pass 0");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[4],\"weights\":[1]}") ==
        "line 3 names expert 4, the file is of 4 experts");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[-1],\"weights\":[1]}") ==
        "line 3 has the number -1 in experts, expected an array of numbers");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[2,3,2],\"weights\":[1,1,1]}") == "line 3 names an expert twice");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[2,3],\"weights\":[1]}") == "line 3 has 2 experts and 1 weights");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[2]}") ==
        "line 3 has no weights, other tokens of its pass have some");
  CHECK(said("{\"headgate_routing_trace\":1,\"experts\":4,\"tokens\":[2]}\n{\"pass\":0,\"token\":0,\"experts\":[1]}\n" +
             second) == "line 3 has weights, other tokens of its pass have none");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[2],\"weights\":[1e39]}") ==
        "line 3 has the weight 1e+39, too large to be finite");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[2],\"weights\":[1e999]}").substr(0, 14) == "line 3 is not ");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[2],\"weights\":[null]}") ==
        "line 3 has null in weights, expected an array of numbers");
  CHECK(token("{\"pass\":0,\"token\":1.5,\"experts\":[2],\"weights\":[1]}") ==
        "line 3 has the number 1.5 in token, expected a number that counts");
  CHECK(token("{\"pass\":0,\"token\":\"1\",\"experts\":[2],\"weights\":[1]}") ==
        "line 3 has the text '1' in token, expected a number that counts");
  CHECK(token("{\"pass\":true,\"token\":1,\"experts\":[2],\"weights\":[1]}") ==
        "line 3 has a boolean in pass, expected a number that counts");
  CHECK(token("{\"pass\":0,\"token\":{\"x\":1},\"experts\":[2],\"weights\":[1]}") ==
        "line 3 has an object in token, expected a number that counts");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":2,\"weights\":[1]}") ==
        "line 3 has the number 2 in experts, expected an array of numbers");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":[{}],\"weights\":[1]}") ==
        "line 3 has an object in experts, expected an array of numbers");
  CHECK(token("{\"pass\":0,\"pass\":0,\"token\":1,\"experts\":[],\"weights\":[]}") ==
        "line 3 has the key 'pass' twice");
  CHECK(token("{\"pass\":0,\"token\":1,\"expert\":[],\"weights\":[]}") == "line 3 has the unknown key 'expert'");
  CHECK(token("{\"pass\":0,\"token\":1,\"weights\":[]}") == "line 3 has no experts");
  CHECK(token(second.substr(0, 20)).substr(0, 29) == "line 3 is not JSON at its byt");
  CHECK(token(second.substr(0, second.size() - 1) + "x").substr(0, 29) == "line 3 is not JSON at its byt");
  CHECK(token(std::string("{\"pass\":0}\0{}", 13)) == "line 3 holds a zero byte");
  CHECK(said(std::string(100000, '[')) == "line 1 is an array, expected an object");
  CHECK(token("{\"pass\":0,\"token\":1,\"experts\":" + std::string(100000, '[')) ==
        "line 3 has an array in experts, expected an array of numbers");
  CHECK(said(std::string((std::size_t{1} << 24) + 1, ' ')) == "line 1 has more than 16777216 bytes");
}

TEST_CASE("no file, no trace, and a save that fails leaves the file before it", "[io][routing_trace_file]") {
  const test_file file;
  CHECK_THROWS_WITH(hg::load_routing_trace<float>(file.path), file.path.string() + ": is not a file that can be read");
  CHECK_THROWS_AS(hg::save_routing_trace(hg::routing_trace<float>{}, file.path / "below"), std::runtime_error);
}

TEST_CASE("a hundred thousand lines are read in seconds at most", "[io][routing_trace_file]") {
  const test_file file;
  hg::routing_trace<float> trace;
  hg::recorded_pass<float> pass(64);
  const std::vector<float> weights = {0.1F, 0.2F, 0.3F, 0.4F};
  for (hg::index t = 0; t < 100000; ++t)
    pass.append(std::vector<hg::index>{t % 64, (t + 1) % 64, (t + 2) % 64, (t + 3) % 64}, weights);
  trace.append(pass);
  const auto start = std::chrono::steady_clock::now();
  hg::save_routing_trace(trace, file.path);
  const bool same = same_trace(hg::load_routing_trace<float>(file.path), trace);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  CHECK(same);
  INFO(seconds.count() << " s");
  CHECK(seconds.count() < 20);
}
