// SPDX-License-Identifier: BSD-3-Clause
#include "settings.hpp"

#include <headgate/core/error.hpp>

#include <charconv>
#include <cmath>

namespace specialise {

std::string pool_name(const settings& how) {
  switch (how.pool.kind) {
    case pool_kind::shuffled:
      return "shuffled";
    case pool_kind::buffer:
      return "buffer";
    case pool_kind::pooled:
      break;
  }
  if (how.pool.size == 1) return "micro";
  if (how.pool.size == how.micro_batches()) return "global";
  return std::to_string(how.pool.size) + "x";
}

balance_pool parse_pool(std::string_view text, index micro_batches) {
  if (text == "micro") return {pool_kind::pooled, 1};
  if (text == "global") return {pool_kind::pooled, micro_batches};
  if (text == "shuffled") return {pool_kind::shuffled, 1};
  if (text == "buffer") return {pool_kind::buffer, 1};
  index size = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, size);
  if (error != std::errc{} || !(rest == end || std::string_view(rest, end) == "x"))
    hg::refuse("the pool '", text, "' is none of micro, global, shuffled, buffer and a number of micro-batches");
  return {pool_kind::pooled, size};
}

std::string run_name(const settings& how, index ranks) {
  return hg::sentence(pool_name(how), "-s", how.seed, "-r", ranks);
}

namespace {

constexpr double most_weight = 1e6;

void check_share(double value, const char* name) {
  if (!(value >= 0 && value <= 1)) hg::refuse(name, " is ", value, ", it must be from 0 to 1");
}

}  // namespace

void check(const settings& how, index ranks) {
  const model_sizes& s = how.sizes;
  for (const auto& [name, value] : {std::pair{"layers", s.layers},
                                    {"experts", s.experts},
                                    {"k", s.k},
                                    {"model", s.model},
                                    {"hidden", s.hidden},
                                    {"taps", s.taps},
                                    {"sequence", s.sequence},
                                    {"batch", how.batch},
                                    {"micro", how.micro},
                                    {"chunk", how.chunk},
                                    {"steps", how.steps},
                                    {"pool", how.pool.size},
                                    {"ranks", ranks},
                                    {"log-every", how.log_every},
                                    {"validate-every", how.validate_every},
                                    {"checkpoint-every", how.checkpoint_every}})
    if (value < 1) hg::refuse(name, " is ", value, ", it must be at least 1");
  if (how.batch % how.micro != 0)
    hg::refuse("batch is ", how.batch, " sequences, not a multiple of micro, which is ", how.micro);
  const index micro_batches = how.micro_batches(), size = how.pool.size;
  if (micro_batches % ranks != 0)
    hg::refuse(micro_batches, " micro-batches cannot be dealt to ", ranks, " ranks evenly");
  if (micro_batches % size != 0)
    hg::refuse(micro_batches, " micro-batches are not a multiple of the pool, which is ", size);
  if (size > 1 && size % ranks != 0)
    hg::refuse("a pool of ", size, " micro-batches cannot be dealt to ", ranks, " ranks evenly");
  if (s.k > s.experts) hg::refuse("k is ", s.k, ", there are ", s.experts, " experts");
  check_share(how.warmup, "warmup");
  if (how.warmup_steps() >= how.steps)
    hg::refuse("warmup is ", how.warmup, ", which is ", how.warmup_steps(), " of ", how.steps,
               " steps and leaves none after it");
  for (const auto& [name, value] : {std::pair{"weight", how.weight}, {"router-z", how.router_z}})
    if (!(value >= 0 && value < most_weight))
      hg::refuse(name, " is ", value, ", it must be at least 0 and below ", most_weight);
  for (const auto& [name, value] : {std::pair{"rate", how.rate}, {"clip", how.clip}, {"time-out", how.time_out}})
    if (!(value > 0 && std::isfinite(value))) hg::refuse(name, " is ", value, ", it must be more than 0 and finite");
  if (!(how.weight_decay >= 0 && std::isfinite(how.weight_decay)))
    hg::refuse("weight-decay is ", how.weight_decay, ", it must be at least 0 and finite");
  if (how.validation_sequences < 0)
    hg::refuse("validation-sequences is ", how.validation_sequences, ", it must be at least 1, or 0 for all");
}

}  // namespace specialise
