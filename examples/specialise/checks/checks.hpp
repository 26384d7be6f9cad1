// SPDX-License-Identifier: BSD-3-Clause
// Checks of the experiment's own parts, for ctest, each run by its name (main.cpp). They are a program and not test cases, as
// they fork and kill.
#pragma once

#include "../domains.hpp"
#include "../settings.hpp"

#include <headgate/core/error.hpp>

#include <stdexcept>

namespace specialise {

void causality();
void damage();
void domains();
void draws();
void failures();
void gradients();
void pools();
void ranks();
void resumption();

/// Says what is wrong in one sentence.
template <class... Parts>
void require(bool holds, const Parts&... parts) {
  if (!holds) throw std::logic_error(hg::sentence(parts...));
}

/// Three domains of 40 KiB that differ in their letters.
[[nodiscard]] text small_text(index sequence);

[[nodiscard]] settings small_settings();

}  // namespace specialise
