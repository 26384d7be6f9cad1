// SPDX-License-Identifier: BSD-3-Clause
// What an optimiser remembers between steps, and the walk by which it meets the parameters.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/weights.hpp>

#include <cmath>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Refuses a rate or a decay that is negative or not finite.
inline void check_not_negative(const char* owner, const char* name, double value) {
  if (!(value >= 0.0) || std::isinf(value))
    refuse(owner, ": ", name, " is ", value, ", it must be a finite number of at least 0");
}

/// Refuses what is not in [0, 1): a momentum or another weight of a running mean.
inline void check_below_one(const char* owner, const char* name, double value) {
  if (!(value >= 0.0 && value < 1.0)) refuse(owner, ": ", name, " is ", value, ", it must be at least 0 and below 1");
}

/// The default for `decays`: weight decay acts on every trained matrix.
inline bool decay_all(std::string_view /*name*/, index /*rows*/, index /*cols*/) { return true; }

/// For `decays`: leaves out biases and other parameters of one row.
inline bool decay_matrices(std::string_view /*name*/, index rows, index /*cols*/) { return rows > 1; }

/// `Moments` numbers for each parameter, zero at first, held in the order in which a walk visits the parameters. Of the
/// parameter's own type: T, or double in a model of float that keeps some parameters wider (`in_double`).
///
/// A walk is a callable that takes a visitor and calls it as visitor(name, w, dw) for each parameter, always in the same
/// order: `[&](auto&& update) { layer.for_each_parameter(grads, update); head.for_each_parameter(more, update); }`.
/// Each step walks twice, first to check and then to change, so a refused step has changed nothing. The first step
/// allocates; later ones do not.
template <class T, index Moments>
class optimiser_memory {
 public:
  /// Number of finished steps.
  [[nodiscard]] index steps() const { return steps_; }

  /// One step: calls change(name, w, dw, moments) for each parameter, `moments` being (Moments x w.size()).
  template <class Walk, class Change>
  void step(const char* owner, Walk& walk, const Change& change) {
    if (steps_ == 0) remembers_ = false;
    check_walk(owner, walk);
    index visited = 0;
    walk([&](std::string_view name, auto& w, const auto& dw) {
      const index here = visited++;
      check(owner, here, name, w, dw);  // again: a walk that is not the same twice must not write out of bounds
      change(name, w, dw, moments_of<typename std::remove_cvref_t<decltype(w)>::Scalar>(slots_[here]).data());
    });
    ++steps_;
    remembers_ = true;
  }

  /// Calls f(name, moments) for each parameter that `walk` visits, `moments` being a view (Moments x w.size()) of T or
  /// double: what a checkpoint holds beside the parameters. Before the first step they are zeros, to be filled in as many
  /// walks over the same parameters as it takes; then `resume_at` says how many steps they stand for. A step before that
  /// forgets them.
  template <class Walk, class F>
  void for_each_moment(Walk&& walk, F&& f) {
    check_walk("optimiser_memory::for_each_moment", walk);
    remembers_ = true;
    index visited = 0;
    walk([&](std::string_view name, auto& w, const auto&) {
      f(name, moments_of<typename std::remove_cvref_t<decltype(w)>::Scalar>(slots_[visited++]).block());
    });
  }

  /// Goes on as after so many steps, with the moments that are there. 0 forgets them.
  void resume_at(index steps) {
    if (steps < 0) refuse("optimiser_memory::resume_at: steps is ", steps, ", it must be at least 0");
    if (steps > 0 && !remembers_)
      refuse("optimiser_memory::resume_at: steps is ", steps, ", but there are no moments; fill them first");
    steps_ = steps;
    if (steps == 0) remembers_ = false;
  }

 private:
  template <class M>
  static constexpr bool visits = is_parameter_matrix<M> &&
                                 (std::is_same_v<typename M::Scalar, T> || std::is_same_v<typename M::Scalar, double>);

  struct slot {
    std::string name;
    index rows;
    index cols;
    scratch<T> moments;
    scratch<double> wide_moments;  // instead, for a parameter of double in a model of float
  };

  template <class S>
  static scratch<S>& moments_of(slot& one) {
    if constexpr (std::is_same_v<S, T>)
      return one.moments;
    else
      return one.wide_moments;
  }

  /// Refuses a walk that differs from the first step's; makes zeros for it if there was none.
  template <class Walk>
  void check_walk(const char* owner, Walk& walk) {
    if (!remembers_) slots_.clear();  // a refused first step may have left some
    index visited = 0;
    walk([&](std::string_view name, auto& w, const auto& dw) { check(owner, visited++, name, w, dw); });
    if (visited != slots_.size())
      refuse(owner, ": the walk visits ", visited, " parameters, at the first step it visited ", slots_.size());
  }

  template <class W, class G>
  void check(const char* owner, index here, std::string_view name, const W& w, const G& dw) {
    static_assert(visits<W> && visits<G>,
                  "headgate: the walk visits matrices of another type than the optimiser's headgate::matrix<T>");
    using S = typename W::Scalar;
    if (dw.rows() != w.rows() || dw.cols() != w.cols())
      refuse(owner, ": the gradient of '", name, "' is ", dw.rows(), " x ", dw.cols(), ", the parameter ", w.rows(),
             " x ", w.cols());
    if (here == slots_.size()) {
      if (remembers_)
        refuse(owner, ": the walk visits '", name, "' (", w.rows(), " x ", w.cols(), ") after the ", here,
               " parameters of the first step");
      slot fresh{std::string(name), w.rows(), w.cols(), {}, {}};
      moments_of<S>(fresh).zero(Moments, w.size());
      slots_.push_back(std::move(fresh));
    }
    slot& known = slots_[here];
    if (w.rows() != known.rows || w.cols() != known.cols || name != known.name)
      refuse(owner, ": parameter ", here, " is '", name, "' (", w.rows(), " x ", w.cols(),
             "), at the first step it was '", known.name, "' (", known.rows, " x ", known.cols, ")");
    if (moments_of<S>(known).size() != Moments * w.size())
      refuse(owner, ": parameter '", name, "' has elements of ", sizeof(S), " bytes, at the first step it had others");
  }

  array<slot> slots_;
  bool remembers_ = false;  // the slots are those of a whole walk, and what is in them counts
  index steps_ = 0;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
