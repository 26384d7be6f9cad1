// SPDX-License-Identifier: BSD-3-Clause
// How the examples read their command lines, and how they end.
#pragma once

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>  // bad_alloc
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

/// What main returns: the status that `f` returns, or 1 after the line "program: why" for what it throws.
template <class F>
[[nodiscard]] int status_of(const char* program, const F& f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: there is not enough memory\n", program);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s\n", program, error.what());
  }
  return 1;
}

}  // namespace command_line
