// SPDX-License-Identifier: BSD-3-Clause
// Named parameters: a policy lists its matrices once, and optimisers, files, checks and messages walk the list.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <charconv>
#include <string_view>
#include <tuple>

namespace headgate {
inline namespace HEADGATE_ABI {

/// One trained matrix of a policy's `params`: `hg::field{"up", &params::up}`.
template <class Params, class Matrix>
struct field {
  static constexpr bool trained = true;
  std::string_view name;
  Matrix Params::*member;

  constexpr field(std::string_view field_name, Matrix Params::*field_member) : name(field_name), member(field_member) {}
};

/// A matrix that is saved with the others but that no gradient and no optimiser touches (a selection bias, say).
template <class Params, class Matrix>
struct buffer_field {
  static constexpr bool trained = false;
  std::string_view name;
  Matrix Params::*member;

  constexpr buffer_field(std::string_view field_name, Matrix Params::*field_member)
      : name(field_name), member(field_member) {}
};

/// The parameters of a part that is itself a policy; its fields appear as "name.field".
template <class Part, class Params>
struct part_field {
  std::string_view name;
  typename Part::params Params::*member;
};

template <class Part, class Params>
constexpr part_field<Part, Params> part(std::string_view name, typename Part::params Params::*member) {
  return {name, member};
}

/// True for policies whose parameters are kept but not trained (`hg::frozen<Expert>`).
template <class Policy>
inline constexpr bool is_frozen = requires {
  requires Policy::frozen_parameters;
};

/// A dotted name ("experts.3.up") built without allocating.
class field_path {
 public:
  [[nodiscard]] std::string_view text() const { return {text_, length_}; }

  /// Appends ".part" for as long as the returned guard lives.
  class guard {
   public:
    guard(field_path& path, std::size_t length) : path_(path), length_(length) {}
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
    ~guard() { path_.length_ = length_; }

   private:
    field_path& path_;
    std::size_t length_;
  };
  [[nodiscard]] guard enter(std::string_view part) {
    const std::size_t before = length_;
    if (length_ > 0 && !part.empty()) put('.');
    for (const char letter : part) put(letter);
    return {*this, before};
  }
  [[nodiscard]] guard enter(index number) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return enter(std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }

 private:
  void put(char letter) {
    if (length_ == sizeof text_) refuse("field_path: a parameter's name is longer than ", sizeof text_, " letters");
    text_[length_++] = letter;
  }

  char text_[192];
  std::size_t length_ = 0;
};

/// Which fields a walk visits: those an optimiser may change, or all that a file must hold.
enum class fields_of { training, storage };

/// Calls f(name, p.field, others.field...) for each field of the policy, parts included, in the order they are listed.
/// `others` are objects of the same type as p: gradients, moments.
template <class Policy, fields_of Which, class F, class P, class... Others>
void for_each_field(field_path& path, F& f, P& p, Others&... others) {
  if constexpr (Which == fields_of::training && is_frozen<Policy>) {
    return;
  } else {
    const auto visit = [&]<class Field>(const Field& one) {
      const auto inside = path.enter(one.name);
      if constexpr (requires { Field::trained; }) {
        if constexpr (Field::trained || Which == fields_of::storage)
          f(path.text(), p.*one.member, others.*one.member...);
      } else {
        [&]<class Part, class Params>(const part_field<Part, Params>& nested) {
          for_each_field<Part, Which>(path, f, p.*nested.member, others.*nested.member...);
        }(one);
      }
    };
    std::apply([&](const auto&... all) { (visit(all), ...); }, Policy::fields);
  }
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
