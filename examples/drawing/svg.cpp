// SPDX-License-Identifier: BSD-3-Clause
#include "svg.hpp"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace drawing {

std::string text(const char* format, ...) {
  std::va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  std::string result(static_cast<std::size_t>(std::vsnprintf(nullptr, 0, format, arguments)), '\0');
  std::vsnprintf(result.data(), result.size() + 1, format, again);
  va_end(again);
  va_end(arguments);
  return result;
}

std::string grouped(double number) {
  std::string digits = std::to_string(std::llround(number));
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > 0; place -= 3)
    digits.insert(static_cast<std::size_t>(place), 1, ' ');
  return digits;
}

std::string style() {
  constexpr std::array<const char*, 8> hues{"#4269d0", "#efb118", "#ff725c", "#6cc5b0",
                                            "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5"};
  std::string s =
      "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#24292f}"
      ".tick{font-size:12px;fill:#57606a}.axis{font-size:13px}.cell{font-size:12px}.key{font-size:12.5px}"
      ".middle{text-anchor:middle}.end{text-anchor:end}"
      ".grid{stroke:#d8dee4;stroke-width:1}.even{stroke:#24292f;stroke-width:1.2;stroke-dasharray:4 4;fill:none}"
      ".line{fill:none;stroke-width:2;stroke-linejoin:round}.faint{stroke-width:1;stroke-opacity:.3}.band{stroke:#fff;"
      "stroke-width:1}"
      ".paper{fill:#fff}.empty{fill:#f1f3f5}.heat{fill:#1f5fbf}.cold{fill:#e0761b}.on{fill:#fff}";
  for (std::size_t i = 0; i < hues.size(); ++i) s += text(".l%zu{stroke:%s}.f%zu{fill:%s}", i, hues[i], i, hues[i]);
  s += "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#9da7b1}.grid{stroke:#30363d}"
       ".even{stroke:#e6edf3}.band{stroke:#0d1117}.paper{fill:#0d1117}.empty{fill:#161b22}.heat{fill:#58a6ff}.cold{"
       "fill:#f0883e}"
       ".on{fill:#0d1117}}";
  return s;
}

std::string open(double height, const char* title) {
  return text("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n",
              width, height, title);
}

std::string label(double x, double y, const char* kind, const std::string& what) {
  return text("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, kind, what.c_str());
}

std::string rotated(double x, double y, const std::string& what) {
  return text("<text transform=\"translate(%.1f %.1f) rotate(-90)\" class=\"axis middle\">%s</text>\n", x, y,
              what.c_str());
}

double round_step(double span) {
  const double raw = span / 5, power = std::pow(10, std::floor(std::log10(raw)));
  return power * (raw / power >= 5 ? 5 : raw / power >= 2 ? 2 : 1);
}

std::string heat_cell(double x, double y, double cell_width, double cell_height, double strength) {
  const char* const box =
      "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\" class=\"%s\" "
      "fill-opacity=\"%.3f\"/>\n";
  return text(box, x + 1, y + 1, cell_width - 2, cell_height - 2, "empty", 1.0) +
         text(box, x + 1, y + 1, cell_width - 2, cell_height - 2, strength < 0 ? "cold" : "heat", std::abs(strength));
}

}  // namespace drawing
