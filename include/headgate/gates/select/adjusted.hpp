// SPDX-License-Identifier: BSD-3-Clause
// A selection that chooses by other scores than the weights are made of.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/stages.hpp>

#include <algorithm>
#include <tuple>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Copies the row of scores, lets `adjust` change the copy, and lets `select` choose by it. The weights are made of the
/// scores as they were.
///
///   adjusted<selection_bias<float>, adjusted<group_limit<top_two_sum>, top_k<>>>{
///       .select = {.adjust = {.groups = 8, .keep = 4}, .select = {.k = 8}}}
///
/// is DeepSeek-V3's choice: a bias, then a limit of groups, then the best. However many adjustments, the row is copied
/// once. An adjustment is
///
///   void operator()(s, experts, memory, ids) const       or, with `params`, (p, s, experts, memory, ids)
///
/// which changes s (1 x experts) in place; memory and ids have room for `experts` numbers each.
template <class Adjust, class Select>
struct adjusted {
  struct params {
    HEADGATE_NO_UNIQUE_ADDRESS typename detail::params_of<Adjust>::type adjust;
    HEADGATE_NO_UNIQUE_ADDRESS typename detail::params_of<Select>::type select;
  };
  static constexpr auto fields = std::tuple_cat(detail::stage_field<Adjust, params>(&params::adjust),
                                                detail::stage_field<Select, params>(&params::select));

  HEADGATE_NO_UNIQUE_ADDRESS Adjust adjust{};
  HEADGATE_NO_UNIQUE_ADDRESS Select select{};

  void check(gate_shape shape) const {
    detail::check_stage(adjust, shape);
    detail::check_stage(select, shape);
    if constexpr (requires { adjust.check_count(shape, select.count(shape.experts)); })
      adjust.check_count(shape, select.count(shape.experts));
  }

  [[nodiscard]] params init(gate_shape shape, std::mt19937_64& generator) const {
    params p{};
    p.adjust = detail::init_stage(adjust, shape, generator);
    p.select = detail::init_stage(select, shape, generator);
    return p;
  }

  static constexpr bool names_each_once = requires { requires Select::names_each_once; };
  static constexpr bool best_first = selects_best_first<Select>;  // by the changed scores

  [[nodiscard]] index count(index experts) const requires requires(const Select& stage) { stage.count(index{}); }
  { return select.count(experts); }

  /// The same selection of another k.
  [[nodiscard]] adjusted with_k(index k) const requires requires(const Select& stage) { stage.with_k(index{}); }
  {
    adjusted other = *this;
    other.select = select.with_k(k);
    return other;
  }

  /// `row` is working memory for 2 x experts numbers.
  template <class T>
  index operator()(const params& p, const T* s, index experts, index* ids, T* row) const {
    std::copy_n(s, experts, row);
    return choose_in_place(p, row, experts, ids);
  }

  /// The same of scores that may be changed, and that have room for as many numbers behind them.
  template <class T>
  index choose_in_place(const params& p, T* s, index experts, index* ids) const {
    T* const memory = s + experts;
    if constexpr (requires { typename Adjust::params; })
      adjust(p.adjust, s, experts, memory, ids);
    else
      adjust(s, experts, memory, ids);
    const T* const changed = s;
    if constexpr (requires { select.choose_in_place(p.select, s, experts, ids); })
      return select.choose_in_place(p.select, s, experts, ids);
    else if constexpr (requires { typename Select::params; })
      return select(p.select, changed, experts, ids, memory);
    else
      return select(changed, experts, ids);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
