#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every ```cpp block in README.md and docs/ stands, line by line, in the compiled file that the comment before it names:
#   <!-- from examples/01_first_layer.cpp -->
# Indentation is free. A line `// ...` in a block leaves something out. Links to files of ours must lead somewhere.
set -euo pipefail
cd "$(dirname "$0")/../.."

docs=(README.md docs/*.md)
awk '
  function trimmed(line) {
    gsub(/^[ \t]+|[ \t\r]+$/, "", line)
    return line
  }
  function complain(line, sentence) {
    print FILENAME ":" line ": " sentence
    bad = 1
  }
  function read_source(  line) {
    length_of_source = 0
    while ((getline line < source) > 0) text[++length_of_source] = trimmed(line)
    close(source)
    return length_of_source > 0
  }
  # Finds lines [first, last] of the block in the source after line `from`; returns the line where they end, 0 if nowhere.
  function find_piece(first, last, from,  at, i) {
    for (at = from + 1; at + last - first <= length_of_source; ++at) {
      for (i = first; i <= last && text[at + i - first] == block[i]; ++i) {}
      if (i > last) return at + last - first
    }
    return 0
  }
  function check_block(  first, i, at) {
    ++blocks
    if (source == "") return complain(start, "a cpp block without <!-- from FILE --> on the line before it")
    if (!read_source()) return complain(start, source " does not exist or is empty")
    block[++lines] = "// ..."
    at = 0
    first = 1
    for (i = 1; i <= lines; ++i) {
      if (block[i] != "// ...") continue
      if (i > first && !(at = find_piece(first, i - 1, at)))
        return complain(start + first, "not in " source " (or not in this order): " block[first])
      first = i + 1
    }
  }
  FNR == 1 { inside = 0; source = "" }
  inside && /^[ \t]*```/ { if (inside == 2) check_block(); inside = 0; source = ""; next }
  inside { if (inside == 2) block[++lines] = trimmed($0); next }
  /^[ \t]*```(cpp|c\+\+)/ { inside = 2; start = FNR; lines = 0; next }
  /^[ \t]*```/ { inside = 1; next }
  /^<!-- from .* -->$/ { source = $3; next }
  { source = "" }
  END {
    print blocks + 0 " cpp blocks"
    if (!blocks) bad = 1
    exit bad
  }' "${docs[@]}"

bad=0
for doc in "${docs[@]}"; do
  while read -r target; do
    case $target in http*|'#'*|'') continue ;; esac
    [ -e "$(dirname "$doc")/${target%%#*}" ] || { echo "$doc links to $target, which does not exist"; bad=1; }
  done < <(grep -oE '\]\([^) ]+\)' "$doc" | sed 's/^](//; s/)$//')
done
exit $bad
