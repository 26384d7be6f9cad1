// SPDX-License-Identifier: BSD-3-Clause
// config.json from memory, and every kind of question about what it holds.
#include <headgate/io/model_config_file.hpp>

#include "fuzz/fuzz.hpp"

#include <cstdint>
#include <string>

namespace hg = headgate;

namespace {

void ask(const hg::model_config& config, const hg::model_config::names& name) {
  const auto each = [](auto question) { headgate_fuzz::run("f", question); };
  const bool has = config.has(name);
  each([&] {
    const hg::index value = config.integer(name, 0);
    headgate_fuzz::demand(value >= 0 && value <= hg::model_config::most, "an integer is from 0 to 2^40");
  });
  each([&] {
    static_cast<void>(config.integer(name));
    headgate_fuzz::demand(has, "what has a value is there");
  });
  each([&] { static_cast<void>(config.number(name)); });
  each([&] { static_cast<void>(config.flag(name)); });
  each([&] { static_cast<void>(config.text(name)); });
  each([&] { static_cast<void>(config.texts(name)); });
  each([&] {
    for (const hg::index value : config.integers(name))
      headgate_fuzz::demand(value >= 0 && value <= hg::model_config::most, "an integer is from 0 to 2^40");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  headgate_fuzz::run("f", [&] {
    const hg::model_config config = hg::parse_model_config("f", headgate_fuzz::text_of(data, size));
    headgate_fuzz::accepted = true;
    for (const char* name : {"", "a", "a.b", "text_config", "num_experts", "layers"}) ask(config, name);
    ask(config, {"hidden_size", "d_model", "n"});
    ask(config.inside("text_config").inside("a"), {"hidden_size", "num_experts", "b"});
  });
  return 0;
}
