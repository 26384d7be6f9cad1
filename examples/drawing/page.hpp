// SPDX-License-Identifier: BSD-3-Clause
// A report of one file: a page that brings its style with it and needs no network.
#pragma once

#include <filesystem>
#include <string>

namespace drawing {

/// A page of the given title (of its window) with `style` of pictures and tables, light or dark as the reader's browser is.
[[nodiscard]] std::string page(const std::string& title, const std::string& body, const std::string& more_style = "");

/// With `&`, `<`, `>` and `"` as a page needs them.
[[nodiscard]] std::string escaped(const std::string& text);

/// Throws std::runtime_error with the reason if the file cannot be written.
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace drawing
