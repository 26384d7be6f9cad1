#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The median header is under 150 lines, none is over 300; no line is over 130 columns (clang-format wraps code, not comments).
set -euo pipefail
cd "$(dirname "$0")/../.."

find include -name '*.hpp' | sort | LC_ALL=C xargs awk '
  length > 130 { print FILENAME ":" FNR ": a line of " length " columns, 130 are allowed"; bad = 1 }
  END { exit bad }'

find include -name '*.hpp' -exec awk 'END { print FNR, FILENAME }' {} \; | sort -n | awk '
  { lines[NR] = $1 }
  $1 > 300 { print $2 " has " $1 " lines, 300 are allowed"; bad = 1 }
  END {
    median = lines[int((NR + 1) / 2)]
    print NR " headers, median " median " lines, longest " lines[NR]
    if (median >= 150) { print "the median must stay under 150"; bad = 1 }
    exit bad
  }'
