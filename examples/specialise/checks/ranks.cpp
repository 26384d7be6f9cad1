// SPDX-License-Identifier: BSD-3-Clause
// Several ranks compute what one does, to rounding: losses, the gradient's norm, parameters (by the losses of the steps after)
// and validation.
#include "runs.hpp"

#include <cmath>
#include <cstdlib>
#include <vector>

namespace specialise {

namespace {

/// What rank 0 knows after a step.
struct seen_step {
  step_record record;
  double gradient_norm;
  validation_record validation;  // step 0 before the first
};

std::vector<seen_step> train_on(index ranks, const settings& how, const text& data) {
  const folder out("specialise-ranks");
  std::vector<seen_step> steps;
  watcher watch;
  watch.step = [&](const run_view& now) {
    steps.push_back({*now.last, now.gradient_norm, now.validation ? *now.validation : validation_record{}});
  };
  train(how, data, out, ranks, watch);
  return steps;
}

void compare(const std::string& run, const seen_step& found, const seen_step& one) {
  const auto near = [&](const char* what, double value, double expected, double scale = 1) {
    require(std::abs(value - expected) < 1e-4 * scale, run, ": ", what, " of step ", one.record.step, " is ", value,
            ", on one rank ", expected);
  };
  require(found.record.step == one.record.step && found.validation.step == one.validation.step, run, ": step ",
          found.record.step, " with validation ", found.validation.step, " stands where step ", one.record.step,
          " with validation ", one.validation.step, " is on one rank");
  near("train_bpb", found.record.train_bpb, one.record.train_bpb);
  near("the gradient's norm", found.gradient_norm, one.gradient_norm, one.gradient_norm);
  for (std::size_t l = 0; l < one.record.balance.size(); ++l) {
    near("balance", found.record.balance.at(l), one.record.balance[l]);
    near("micro_balance", found.record.micro_balance.at(l), one.record.micro_balance[l]);
  }
  for (std::size_t d = 0; d < one.validation.bpb_by_domain.size(); ++d)
    near("validation bpb_by_domain", found.validation.bpb_by_domain.at(d), one.validation.bpb_by_domain[d]);
  for (std::size_t l = 0; l < one.validation.counts.size(); ++l)
    for (std::size_t d = 0; d < one.validation.counts[l].size(); ++d) {
      index all = 0, all_of_one = 0, moved = 0;
      for (std::size_t e = 0; e < one.validation.counts[l][d].size(); ++e) {
        const index count = found.validation.counts.at(l).at(d).at(e), expected = one.validation.counts[l][d][e];
        all += count;
        all_of_one += expected;
        moved += std::abs(count - expected);
      }
      // Rounding may decide a near tie the other way.
      require(all == all_of_one && moved <= 2, run, ": validation counts ", all, " assignments of domain ", d,
              " in layer ", l, ", on one rank ", all_of_one, ", and ", moved, " are elsewhere");
    }
}

}  // namespace

void ranks() {
  const text data = small_text(16);
  // A clip that cuts every step and one that cuts none: summing the gradients after it, or to another scale, cannot be right in both.
  for (const double clip : {0.05, 100.0})
    for (const char* pool : {"micro", "4x", "global", "shuffled"}) {
      settings how = small_settings();
      how.steps = 6;
      how.log_every = 1;
      how.validate_every = 3;
      how.clip = clip;
      how.pool = parse_pool(pool, how.micro_batches());
      const std::vector<seen_step> of_one = train_on(1, how, data);
      require(of_one.size() == 6 && of_one.back().validation.step == 6, "one rank made ", of_one.size(), " steps");
      for (const seen_step& step : of_one)
        require((step.gradient_norm > clip) == (clip < 1), "the gradient's norm is ", step.gradient_norm,
                ", the clip is ", clip);
      for (const index count : {2, 4}) {
        const std::vector<seen_step> found = train_on(count, how, data);
        require(found.size() == of_one.size(), count, " ranks made ", found.size(), " steps");
        for (std::size_t i = 0; i < found.size(); ++i)
          compare(hg::sentence(pool, " on ", count, " ranks, clip ", clip), found[i], of_one[i]);
      }
    }
  settings how = small_settings();
  how.pool = parse_pool("2x", how.micro_batches());
  const std::string said = sentence_of([&] { check(how, 4); });
  require(said == "a pool of 2 micro-batches cannot be dealt to 4 ranks evenly", "it says '", said, "'");
}

}  // namespace specialise
