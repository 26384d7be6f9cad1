// SPDX-License-Identifier: BSD-3-Clause
// How many tokens an expert takes at most, and which ones it drops
// (Lepikhin et al. 2020, arXiv:2006.16668, section 2.2; Fedus et al. 2021, arXiv:2101.03961, eq. 3).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Which assignments an expert over its capacity drops: those that come last in the batch, or those of least weight
/// (among equal weights the last; batch-priority routing, Riquelme et al. 2021, arXiv:2106.05974, section 4.2).
enum class drop { by_position, by_probability };

/// An expert takes at most max(minimum, ceil(factor * assignments / experts)) assignments; the default takes all
/// (dropless). A dropped assignment adds nothing to its token and receives no gradient.
///
/// Dropping makes a token's output depend on its neighbours; everything else in this library does not.
struct capacity {
  double factor = std::numeric_limits<double>::infinity();
  index minimum = 1;
  headgate::drop drop = headgate::drop::by_position;

  [[nodiscard]] bool is_dropless() const { return factor == std::numeric_limits<double>::infinity(); }

  [[nodiscard]] index limit(index assignments, index experts) const {
    if (is_dropless()) return assignments;
    const double share = std::ceil(factor * static_cast<double>(assignments) / static_cast<double>(experts));
    return (std::max)(minimum, static_cast<index>((std::min)(share, static_cast<double>(assignments))));
  }

  void check() const {
    if (!(factor > 0)) refuse("capacity: factor is ", factor, ", it must be greater than 0");
    if (minimum < 1) refuse("capacity: minimum is ", minimum, ", it must be at least 1");
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
