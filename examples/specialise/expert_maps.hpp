// SPDX-License-Identifier: BSD-3-Clause
// Which expert gets which domain, as a picture.
#pragma once

#include "read_runs.hpp"

#include <string>

namespace specialise {

/// Domain x expert of every layer of a run, coloured by the share of the domain's assignments that the expert gets against
/// the even share, 1/experts: blue for more, orange for less, none where even. Experts stand in the order of the domain
/// that uses them most. Full colour: `most` times the even share, or its reciprocal.
[[nodiscard]] std::string expert_maps(const logged_run& run, double most);

/// The colours of `expert_maps`.
[[nodiscard]] std::string expert_map_key(double most);

/// The largest share in any layer of the run's last validation, over the even one; at least 2.
[[nodiscard]] double most_over_even(const logged_run& run);

}  // namespace specialise
