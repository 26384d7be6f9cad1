// SPDX-License-Identifier: BSD-3-Clause
// The loop that all optimisers share: parameter, gradient and moments, a vector register at a time.
#pragma once

#include <headgate/config.hpp>

#include <xsimd/xsimd.hpp>

#include <array>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Calls f(w, dw, moment) for all elements, a batch at a time, and stores w and the moments it has changed.
///
///   w, dw    (count)            the parameters and their gradient
///   moments  (Moments x count)  row after row; `moment` is a std::array of one batch from each row
///
/// The last batch is filled up with zeros, so each element sees the same instructions wherever it stands.
template <index Moments, class Arch = xsimd::default_arch, class F, class T>
void update_elementwise(const F& f, index count, T* w, const T* dw, T* moments) {
  using batch = xsimd::batch<T, Arch>;
  constexpr index width = static_cast<index>(batch::size);

  const auto update = [&f](T* w_at, const T* dw_at, T* moments_at, index stride) {
    batch parameter = batch::load_unaligned(w_at);
    const batch gradient = batch::load_unaligned(dw_at);
    std::array<batch, static_cast<std::size_t>(Moments)> moment;
    for (index m = 0; m < Moments; ++m)
      moment[static_cast<std::size_t>(m)] = batch::load_unaligned(moments_at + m * stride);
    f(parameter, gradient, moment);
    parameter.store_unaligned(w_at);
    for (index m = 0; m < Moments; ++m) moment[static_cast<std::size_t>(m)].store_unaligned(moments_at + m * stride);
  };

  index i = 0;
  for (; i + width <= count; i += width) update(w + i, dw + i, moments + i, count);
  if (i == count) return;

  T tail[static_cast<std::size_t>((2 + Moments) * width)] = {};  // w, dw and the moments, one batch each
  for (index r = 0; r < count - i; ++r) {
    tail[r] = w[i + r];
    tail[width + r] = dw[i + r];
    for (index m = 0; m < Moments; ++m) tail[(2 + m) * width + r] = moments[m * count + i + r];
  }
  update(tail, tail + width, tail + 2 * width, width);
  for (index r = 0; r < count - i; ++r) {
    w[i + r] = tail[r];
    for (index m = 0; m < Moments; ++m) moments[m * count + i + r] = tail[(2 + m) * width + r];
  }
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
