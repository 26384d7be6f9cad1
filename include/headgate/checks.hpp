// SPDX-License-Identifier: BSD-3-Clause
// Checks at the public entries of layers: one clear sentence, before anything is written.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/digest.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/kernels/finite.hpp>

#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Refuses a matrix with a value that is NaN or infinite, and says where.
template <class T>
void check_finite(in<T> x, const char* owner, const char* name) {
  if (const index bad = kernels::first_not_finite(view_of(x)); bad >= 0)
    refuse(owner, ": ", name, " holds ", x(bad / x.cols(), bad % x.cols()), " at row ", bad / x.cols(), ", column ",
           bad % x.cols(), ", values must be finite");
}

/// Refuses an input x (tokens x model) of another width, or with a value that is NaN or infinite.
template <class T>
void check_input(in<T> x, index model, const char* owner) {
  if (x.cols() != model) refuse(owner, ": x has ", x.cols(), " columns, the layer was built for model = ", model);
  check_finite<T>(x, owner, "x");
}

/// Refuses the gradients dy (tokens x outputs) and x (tokens x model) of a backward whose tape holds another batch.
template <class T>
void check_batch(in<T> x, in<T> dy, index tokens, index model, index outputs, const char* owner) {
  if (tokens < 0) refuse(owner, ": the tape holds no forward pass, call forward with it first");
  if (x.rows() != tokens || x.cols() != model)
    refuse(owner, ": x is ", x.rows(), " x ", x.cols(), ", the tape was recorded with ", tokens, " x ", model);
  if (dy.rows() != tokens || dy.cols() != outputs)
    refuse(owner, ": dy is ", dy.rows(), " x ", dy.cols(), ", it must be ", tokens, " x ", outputs);
  check_finite<T>(dy, owner, "dy");
}

/// A number that tells layers of one type but other sizes apart (a digest of the rows and columns of their matrices): a
/// tape remembers the key of the layer that filled it.
class shape_key {
 public:
  template <class W>
  void operator()(std::string_view, const W& w) {
    digest_.numbers(static_cast<index>(w.rows()), static_cast<index>(w.cols()));
  }
  friend bool operator==(const shape_key&, const shape_key&) = default;

 private:
  digest digest_;
};

/// Refuses a gradient d of another shape than its parameter w.
template <class W, class D>
void check_gradient(std::string_view name, const W& w, const D& d, const char* owner) {
  if (d.rows() != w.rows() || d.cols() != w.cols())
    refuse(owner, ": the gradient of ", name, " is ", d.rows(), " x ", d.cols(), ", the parameter is ", w.rows(), " x ",
           w.cols(), "; make gradients with zero_gradients()");
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
