// SPDX-License-Identifier: BSD-3-Clause
// How the examples read their command lines.
#pragma once

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace command_line {

/// Fills what the options of `app` are bound to. False if help was asked for, which is then printed; throws
/// std::invalid_argument with one sentence for what the options do not allow.
[[nodiscard]] inline bool parsed(CLI::App& app, int count, const char* const* arguments) {
  try {
    app.parse(count, arguments);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return false;
  } catch (const CLI::ParseError& error) {
    std::string sentence = error.what();
    std::replace(sentence.begin(), sentence.end(), '\n', ' ');
    throw std::invalid_argument(sentence);
  }
  return true;
}

}  // namespace command_line
