// SPDX-License-Identifier: BSD-3-Clause
// The look of the page, in light and in dark.
#pragma once

namespace headgate_report {

inline constexpr const char* style = R"css(
:root { color-scheme: light dark; --bg: #ffffff; --card: #f7f8fa; --text: #1b1f24; --muted: #667080; --grid: #dfe3e8;
  --limit: #9aa4b0; --ours: #1f5fd6; --bf16: #0d8f9c; --fp16: #6aa9b8; --eigen: #d9730d; --openblas: #3c8f3c;
  --onednn: #a341b8; --pytorch: #b8433b; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171c; --card: #1c2128; --text: #e4e8ee; --muted: #97a2b0;
  --grid: #303741; --limit: #66717f; --ours: #6ea8ff; --bf16: #4fd0dc; --fp16: #8fb9c4; --eigen: #f2a257;
  --openblas: #7ccf7c; --onednn: #d98bea; --pytorch: #f0867e; --good: #56c271; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 24px 60px; background: var(--bg); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 25px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 38px 0 6px; }
p { margin: 6px 0; max-width: 100ch; } .muted { color: var(--muted); } .scroll { overflow-x: auto; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr)); gap: 14px; margin-top: 12px; }
.panels svg { width: 100%; background: var(--card); border-radius: 8px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 10px; } .legend span { white-space: nowrap; }
.key { width: 30px; height: 14px; vertical-align: -2px; margin-right: 4px; }
svg text { fill: var(--text); font-size: 11.5px; } svg .title { font-size: 15px; font-weight: 600; }
svg .tick, svg .bound { fill: var(--muted); } svg .bound { font-size: 10.5px; }
svg .grid { stroke: var(--grid); stroke-width: 1; } svg .limit { stroke: var(--limit); stroke-width: 1.5; stroke-dasharray: 5 4; }
.line .stroke { fill: none; stroke: currentColor; stroke-width: 1.8; } .line .mark { fill: currentColor; }
.line .mark.open { fill: none; stroke: currentColor; stroke-width: 2; }
.line .spread { stroke: currentColor; stroke-width: 5; opacity: .28; }
.line.headgate { color: var(--ours); } .line.headgate .stroke { stroke-width: 3; }
.line.headgate_bf16 { color: var(--bf16); } .line.headgate_fp16 { color: var(--fp16); }
.line.headgate_bf16 .stroke, .line.headgate_fp16 .stroke { stroke-dasharray: 6 3; stroke-width: 2.2; }
.line.eigen { color: var(--eigen); } .line.openblas { color: var(--openblas); } .line.onednn { color: var(--onednn); }
.line.pytorch_eager, .line.pytorch_sorted { color: var(--pytorch); } .line.pytorch_eager .stroke { stroke-dasharray: 2 3; }
table { border-collapse: collapse; margin-top: 10px; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 3px 12px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { color: var(--muted); font-weight: 500; } th.name { text-align: left; } th:first-child, td:first-child { text-align: left; }
td.name { text-align: left; } td.wrap { text-align: left; white-space: normal; max-width: 70ch; } td.ours { font-weight: 600; } tr.first td { border-top: 2px solid var(--grid); }
.faster { color: var(--good); } .slower { color: var(--bad); } .failed { color: var(--bad); }
)css";

}  // namespace headgate_report
