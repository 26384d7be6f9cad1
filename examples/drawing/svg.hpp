// SPDX-License-Identifier: BSD-3-Clause
// What the examples draw with: SVG elements as text. Colours and fonts come from the classes of `style`.
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace drawing {

/// Pixels of a picture, which scales with the page.
inline constexpr double width = 720;

/// printf into a string.
[[nodiscard]] std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));

/// 1234567 as "1 234 567".
[[nodiscard]] std::string grouped(double number);

/// The style sheet of all pictures, light and dark. Lines take the classes `l0` to `l7`, areas `f0` to `f7`.
[[nodiscard]] std::string style();

/// Begins a picture of the given height; "</svg>\n" ends it.
[[nodiscard]] std::string open(double height, const char* title);

/// `kind`: classes of text, as "axis middle".
[[nodiscard]] std::string label(double x, double y, const char* kind, const std::string& what);

/// The name of a vertical axis, read from below.
[[nodiscard]] std::string rotated(double x, double y, const std::string& what);

/// 1, 2 or 5 times a power of ten, at most a fifth of the span.
[[nodiscard]] double round_step(double span);

/// A rounded cell of a heat map, `strength` 0 to 1 of its colour, or 0 to -1 of the opposite one.
[[nodiscard]] std::string heat_cell(double x, double y, double cell_width, double cell_height, double strength);

}  // namespace drawing
