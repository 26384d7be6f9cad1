// SPDX-License-Identifier: BSD-3-Clause
// Demands on a config.json beyond the presence of a value.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/models/model_config.hpp>

#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Refuses a model that says something else than what a family computes; what it does not say is as expected.
inline void expect(const model_config& c, std::string_view name, std::string_view wanted) {
  if (const std::string found = c.text(name, std::string(wanted)); found != wanted)
    refuse_file(c.source(), name, " is '", found, "', this family computes '", wanted, "' only");
}
inline void expect(const model_config& c, std::string_view name, index wanted) {
  if (const index found = c.integer(name, wanted); found != wanted)
    refuse_file(c.source(), name, " is ", found, ", this family computes ", wanted, " only");
}
inline void expect_off(const model_config& c, std::string_view name) {
  if (c.flag(name, false)) refuse_file(c.source(), name, " is true, this family computes false only");
}

/// The number of shared experts of a family that has some.
[[nodiscard]] inline index at_least_one(const model_config& c, std::string_view name) {
  const index found = c.integer(name);
  if (found < 1) refuse_file(c.source(), name, " is ", found, ", this family computes 1 or more only");
  return found;
}

/// A whole number that may differ from layer to layer: a number for all, or a list with one for each.
[[nodiscard]] inline index entry_of(const model_config& c, std::string_view name, index layer) {
  const array<index> all = c.integers(name);
  if (all.size() == 1) return all[0];
  if (layer < 0 || layer >= all.size())
    refuse_file(c.source(), name, " has ", all.size(), " entries, layer ", layer, " was asked for");
  return all[layer];
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
