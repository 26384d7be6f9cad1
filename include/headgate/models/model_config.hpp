// SPDX-License-Identifier: BSD-3-Clause
// The numbers, flags and texts that describe a published model: its config.json with nested names joined by dots.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/io/refuse_file.hpp>

#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Named values, as `read_model_config` finds them or as a caller sets them. Every fault is a std::runtime_error of one
/// sentence that begins with where the values came from.
///
///     const model_config config = read_model_config("DIR/config.json").inside("text_config");
///     const index experts = config.integer({"num_experts", "num_local_experts"});
///
/// Each question takes one name or several alternatives, of which the first that is there counts, and with a second
/// argument what to answer if none is. A value of null is not there. A value of another kind is refused, whether or not
/// there is a default.
class model_config {
 public:
  /// What stands in brackets: numbers, texts, or `mixed` if neither describes it.
  struct list {
    std::vector<double> numbers;
    std::vector<std::string> texts;
    bool mixed = false;
  };
  using value = std::variant<bool, double, std::string, list>;

  /// One name, or alternatives: made for arguments, it refers to the caller's letters.
  class names {
   public:
    names(const char* name) : one_(name) {}
    names(std::string_view name) : one_(name) {}
    names(const std::string& name) : one_(name) {}
    names(std::initializer_list<std::string_view> alternatives) : several_(alternatives) {}

    [[nodiscard]] const std::string_view* begin() const { return several_.size() == 0 ? &one_ : several_.begin(); }
    [[nodiscard]] const std::string_view* end() const { return begin() + (several_.size() == 0 ? 1 : several_.size()); }

   private:
    std::string_view one_;
    std::initializer_list<std::string_view> several_;
  };

  static constexpr index most =
      index{1} << 20;  ///< no size or count of a model is larger, and three multiply to an index

  /// `source` begins every error: the path of a file, or what a caller calls the values.
  explicit model_config(std::string source = "model_config") : source_(std::move(source)) {}

  [[nodiscard]] const std::string& source() const { return source_; }

  /// Adds a value; false, and nothing changed, if there is one of this name.
  bool insert(std::string name, value what) { return values_.emplace(std::move(name), std::move(what)).second; }

  /// Sets or replaces a value; returns itself, so that calls can be chained.
  template <class N>
  requires std::is_arithmetic_v<N> model_config& set(std::string_view name, N what) {
    if constexpr (std::is_same_v<N, bool>)
      return assign(name, what);
    else
      return assign(name, static_cast<double>(what));
  }
  model_config& set(std::string_view name, std::string_view what) { return assign(name, std::string(what)); }
  model_config& set_list(std::string_view name, std::vector<double> numbers) {
    return assign(name, list{std::move(numbers), {}, false});
  }
  model_config& set_list(std::string_view name, std::vector<std::string> texts) {
    return assign(name, list{{}, std::move(texts), false});
  }

  /// The same values, of which those inside the object `name` come before those outside it: with "text_config",
  /// "hidden_size" means "text_config.hidden_size", or "hidden_size" itself if that is not there.
  [[nodiscard]] model_config inside(std::string_view name) const {
    model_config result = *this;
    result.prefixes_.clear();
    for (const std::string& prefix : prefixes_) result.prefixes_.push_back(sentence(prefix, name, "."));
    result.prefixes_.insert(result.prefixes_.end(), prefixes_.begin(), prefixes_.end());
    return result;
  }

  /// True if there is a value of (one of) these names, or an object with something in it.
  [[nodiscard]] bool has(const names& wanted) const { return find(wanted).there; }

  /// A whole number from 0 to 2^20; 8.0 is one.
  [[nodiscard]] index integer(const names& wanted) const { return to_integer(required(wanted)); }
  [[nodiscard]] index integer(const names& wanted, index otherwise) const {
    return or_else(wanted, otherwise, to_integer);
  }

  [[nodiscard]] double number(const names& wanted) const { return to_number(required(wanted)); }
  [[nodiscard]] double number(const names& wanted, double otherwise) const {
    return or_else(wanted, otherwise, to_number);
  }

  [[nodiscard]] bool flag(const names& wanted) const { return to_flag(required(wanted)); }
  [[nodiscard]] bool flag(const names& wanted, bool otherwise) const { return or_else(wanted, otherwise, to_flag); }

  [[nodiscard]] std::string text(const names& wanted) const { return to_text(required(wanted)); }
  [[nodiscard]] std::string text(const names& wanted, std::string otherwise) const {
    return or_else(wanted, std::move(otherwise), to_text);
  }

  /// A list of whole numbers; a single one is a list of one.
  [[nodiscard]] array<index> integers(const names& wanted) const { return to_integers(required(wanted)); }
  [[nodiscard]] array<index> integers(const names& wanted, array<index> otherwise) const {
    return or_else(wanted, std::move(otherwise), to_integers);
  }

  /// A list of texts; a single one is a list of one.
  [[nodiscard]] std::vector<std::string> texts(const names& wanted) const { return to_texts(required(wanted)); }
  [[nodiscard]] std::vector<std::string> texts(const names& wanted, std::vector<std::string> otherwise) const {
    return or_else(wanted, std::move(otherwise), to_texts);
  }

 private:
  /// A value under its full name; none if that is an object's.
  struct found {
    const std::string& source;
    bool there = false;
    std::string name;
    const value* what = nullptr;

    template <class T>
    [[nodiscard]] const T* as() const {
      return what == nullptr ? nullptr : std::get_if<T>(what);
    }
    [[noreturn]] void refuse(std::string_view expected) const {
      refuse_file(source, name, " is ", what == nullptr ? "an object" : describe(*what), ", expected ", expected);
    }
  };

  static std::string describe(double number) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", number);
    return digits;
  }
  static std::string describe(const value& what) {
    if (const bool* const flag = std::get_if<bool>(&what)) return *flag ? "true" : "false";
    if (const double* const number = std::get_if<double>(&what)) return describe(*number);
    if (const std::string* const text = std::get_if<std::string>(&what)) return sentence("'", *text, "'");
    return "a list";
  }

  template <class V>
  model_config& assign(std::string_view name, V what) {
    values_.insert_or_assign(std::string(name), value(std::move(what)));
    return *this;
  }

  [[nodiscard]] found find(const names& wanted) const {
    for (const std::string& prefix : prefixes_)
      for (const std::string_view one : wanted) {
        const std::string name = sentence(prefix, one);
        if (const auto at = values_.find(name); at != values_.end()) return {source_, true, name, &at->second};
        const std::string inner = name + ".";
        if (const auto at = values_.lower_bound(inner); at != values_.end() && at->first.starts_with(inner))
          return {source_, true, name, nullptr};
      }
    return {source_, false, {}, nullptr};
  }

  [[nodiscard]] found required(const names& wanted) const {
    found result = find(wanted);
    if (result.there) return result;
    std::string all;
    for (const std::string_view& one : wanted) all += sentence(&one == wanted.begin() ? "" : " or ", one);
    if (prefixes_.size() == 1) refuse_file(source_, "has no ", all);
    std::string prefix = prefixes_.front();
    prefix.pop_back();
    refuse_file(source_, "has no ", all, ", neither in ", prefix, " nor outside it");
  }

  template <class T, class Convert>
  [[nodiscard]] T or_else(const names& wanted, T otherwise, Convert convert) const {
    const found result = find(wanted);
    return result.there ? convert(result) : otherwise;
  }

  static constexpr std::string_view whole_number = "a whole number";

  static bool is_whole(double number) { return std::floor(number) == number && std::isfinite(number); }
  static index in_range(const found& result, const std::string& name, double number) {
    if (number < 0 || number > static_cast<double>(most))
      refuse_file(result.source, name, " is ", describe(number), ", expected a whole number from 0 to ", most);
    return static_cast<index>(number);
  }

  static index to_integer(const found& result) {
    const double* const number = result.as<double>();
    if (number == nullptr || !is_whole(*number)) result.refuse(whole_number);
    return in_range(result, result.name, *number);
  }
  static double to_number(const found& result) {
    const double* const number = result.as<double>();
    if (number == nullptr) result.refuse("a number");
    return *number;
  }
  static bool to_flag(const found& result) {
    const bool* const flag = result.as<bool>();
    if (flag == nullptr) result.refuse("true or false");
    return *flag;
  }
  static std::string to_text(const found& result) {
    const std::string* const text = result.as<std::string>();
    if (text == nullptr) result.refuse("a text");
    return *text;
  }
  static array<index> to_integers(const found& result) {
    const list* const numbers = result.as<list>();
    if (numbers == nullptr) {
      const double* const number = result.as<double>();
      if (number == nullptr || !is_whole(*number)) result.refuse("a list of whole numbers");
      return array<index>(1, in_range(result, result.name, *number));
    }
    if (numbers->mixed || !numbers->texts.empty())
      refuse_file(result.source, result.name, " is a list of something else, expected a list of whole numbers");
    array<index> integers;
    for (const double number : numbers->numbers) {
      const std::string name = sentence(result.name, "[", integers.size(), "]");
      if (!is_whole(number)) refuse_file(result.source, name, " is ", describe(number), ", expected ", whole_number);
      integers.push_back(in_range(result, name, number));
    }
    return integers;
  }
  static std::vector<std::string> to_texts(const found& result) {
    if (const std::string* const text = result.as<std::string>()) return {*text};
    const list* const texts = result.as<list>();
    if (texts == nullptr) result.refuse("a list of texts");
    if (texts->mixed || !texts->numbers.empty())
      refuse_file(result.source, result.name, " is a list of something else, expected a list of texts");
    return texts->texts;
  }

  std::string source_;
  std::map<std::string, value> values_;
  std::vector<std::string> prefixes_{""};  ///< what names are looked up after, the first first
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
