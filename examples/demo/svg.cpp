// SPDX-License-Identifier: BSD-3-Clause
#include "svg.hpp"

#include <drawing/svg.hpp>

#include <algorithm>
#include <cmath>

namespace demo::svg {

namespace {

using drawing::label, drawing::open, drawing::rotated, drawing::text, drawing::width;

constexpr double left = 62, right = 112, top = 14, bottom = 46;  // pixels; margins hold axes and labels

/// The horizontal axis of epochs, with about five round numbers.
std::string epoch_axis(std::size_t epochs, double y0) {
  const double plot = width - left - right;
  const double last = static_cast<double>(epochs);
  const double step = drawing::round_step((std::max)(last, 5.0));
  std::string s;
  for (double epoch = 0; epoch <= last; epoch += step)
    s += label(left + plot * epoch / last, y0 + 18, "tick middle", text("%g", epoch));
  return s + label(left + plot / 2, y0 + 38, "axis middle", "epoch");
}

/// The geometric mean over the epochs around e, a fifteenth of all of them.
double mean_loss(const run_record& run, std::size_t e) {
  const std::size_t reach = (std::min)({run.epochs.size() / 30, e, run.epochs.size() - 1 - e});
  double sum = 0;
  for (std::size_t i = e - reach; i <= e + reach; ++i) sum += std::log((std::max)(run.epochs[i].loss, 1e-6));
  return std::exp(sum / static_cast<double>(2 * reach + 1));
}

}  // namespace

std::string loss_curves(const std::vector<run_record>& runs) {
  constexpr double height = 330;
  const double plot_width = width - left - right, plot_height = height - top - bottom;
  double lowest = 1e9, highest = 0;
  for (const run_record& run : runs)
    for (const epoch_record& epoch : run.epochs) {
      lowest = (std::min)(lowest, (std::max)(epoch.loss, 1e-6));
      highest = (std::max)(highest, epoch.loss);
    }
  const double low = std::log10(lowest) - 0.05, high = std::log10(highest) + 0.05;
  const auto y_of = [&](double loss) {
    return top + plot_height * (high - std::log10((std::max)(loss, 1e-6))) / (high - low);
  };
  const auto epochs = static_cast<double>(runs.front().epochs.size());

  std::string s = open(height, "Training loss of the three models by epoch");
  for (double decade = std::floor(low); decade <= high; ++decade)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double loss = factor * std::pow(10, decade);
      if (std::log10(loss) < low || std::log10(loss) > high) continue;
      s += text("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", left, width - right, y_of(loss),
                y_of(loss));
      s += label(left - 8, y_of(loss) + 4, "tick end", text("%g", loss));
    }
  s += text("<rect x=\"%g\" y=\"%g\" width=\"180\" height=\"%g\" class=\"paper\"/>\n", width - right - 180, top + 4,
            20 * static_cast<double>(runs.size()) + 8);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const bool averaged : {false, true}) {
      s += text("<polyline class=\"line l%zu%s\" points=\"", i, averaged ? "" : " faint");
      for (std::size_t e = 0; e < runs[i].epochs.size(); ++e)
        s += text("%.1f,%.1f ", left + plot_width * static_cast<double>(e + 1) / epochs,
                  y_of(averaged ? mean_loss(runs[i], e) : runs[i].epochs[e].loss));
      s += text("\"><title>%s</title></polyline>\n", runs[i].name.c_str());
    }
    const double key_x = width - right - 170, key_y = top + 24 + 20 * static_cast<double>(i);
    s += text("<line x1=\"%g\" x2=\"%g\" y1=\"%g\" y2=\"%g\" class=\"line l%zu\"/>\n", key_x, key_x + 24, key_y - 4,
              key_y - 4, i);
    s += label(key_x + 32, key_y, "key", runs[i].name);
  }
  s += epoch_axis(runs.front().epochs.size(), height - bottom);
  s += rotated(16, top + plot_height / 2, "cross entropy");
  return s + "</svg>\n";
}

std::string expert_load(const run_record& mixture) {
  constexpr double height = 330;
  const double plot_width = width - left - right, plot_height = height - top - bottom;
  const std::size_t experts = mixture.epochs.front().load.size();
  const std::size_t epochs = mixture.epochs.size();
  // The first epoch is drawn from the left edge on, so that a run of one epoch is visible too.
  const auto x_of = [&](std::size_t e) {
    return e == 0 ? left : left + plot_width * static_cast<double>(e + 1) / static_cast<double>(epochs);
  };
  const auto edge = [&](std::size_t e, std::size_t expert) {  // lower edge of an expert's band
    double sum = 0;
    for (std::size_t i = 0; i < expert; ++i) sum += mixture.epochs[e].load[i];
    return top + plot_height * (1 - sum);
  };

  std::string s = open(height, "Share of the assignments that each expert gets, by epoch");
  for (std::size_t i = 0; i < experts; ++i) {
    s += text("<polygon class=\"band f%zu\" points=\"", i % 8);
    for (std::size_t e = 0; e < epochs; ++e) s += text("%.1f,%.1f ", x_of(e), edge(e, i));
    if (epochs == 1) s += text("%.1f,%.1f %.1f,%.1f ", width - right, edge(0, i), width - right, edge(0, i + 1));
    for (std::size_t e = epochs; e-- > 0;) s += text("%.1f,%.1f ", x_of(e), edge(e, i + 1));
    s += text("\"><title>expert %zu: %.1f %% in the last epoch</title></polygon>\n", i,
              100 * mixture.epochs.back().load[i]);
    const double middle = (edge(epochs - 1, i) + edge(epochs - 1, i + 1)) / 2;
    s += label(width - right + 8, middle + 4, "key",
               text("expert %zu: %.0f %%", i, 100 * mixture.epochs.back().load[i]));
  }
  for (std::size_t i = 1; i < experts; ++i) {
    const double y = top + plot_height * static_cast<double>(i) / static_cast<double>(experts);
    s += text("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"even\"/>\n", left, width - right, y, y);
  }
  for (const int per_cent : {0, 25, 50, 75, 100})
    s += label(left - 8, top + plot_height * (100 - per_cent) / 100 + 4, "tick end", text("%d %%", per_cent));
  s += epoch_axis(epochs, height - bottom);
  s += rotated(16, top + plot_height / 2, "share of assignments");
  return s + "</svg>\n";
}

std::string heat_map(const run_record& mixture, bool standalone) {
  constexpr double row = 30, head = 34;
  const auto& shares = mixture.specialisation;
  const std::size_t experts = shares.front().size();
  const double column = (width - left - 16) / static_cast<double>(experts);
  const double height = head + row * static_cast<double>(shares.size()) + 14;
  double most = 0;
  for (const auto& digit : shares)
    for (const double share : digit) most = (std::max)(most, share);

  std::string s = open(height, "Share of each digit's assignments that an expert gets");
  if (standalone)
    s += "<style>" + drawing::style() + "</style>\n" +
         text("<rect width=\"%g\" height=\"%g\" class=\"paper\"/>\n", width, height);
  s += rotated(16, head + row * static_cast<double>(shares.size()) / 2, "digit");
  for (std::size_t e = 0; e < experts; ++e)
    s += label(left + column * (static_cast<double>(e) + 0.5), head - 12, "axis middle", text("expert %zu", e));
  for (std::size_t d = 0; d < shares.size(); ++d) {
    const double y = head + row * static_cast<double>(d);
    s += label(left - 14, y + row / 2 + 5, "axis end", text("%zu", d));
    for (std::size_t e = 0; e < experts; ++e) {
      const double x = left + column * static_cast<double>(e);
      const double strength = shares[d][e] / most;
      s += drawing::heat_cell(x, y, column, row, strength);
      s += label(x + column / 2, y + row / 2 + 4, strength > 0.55 ? "cell middle on" : "cell middle",
                 text("%.0f %%", 100 * shares[d][e]));
    }
  }
  return s + "</svg>\n";
}

}  // namespace demo::svg
