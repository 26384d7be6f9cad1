#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# check_document.sh DOCUMENT [--whole] COMMAND... [-- COMMAND...]...: every table that the commands print stands in the document
# under its title, with these rows and no other; with --whole no other table of the document has such a title.
set -euo pipefail
document=$1
shift
whole=no
if [ "$1" = --whole ]; then
  whole=yes
  shift
fi
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
command=()
for word in "$@" --; do
  if [ "$word" != -- ]; then
    command+=("$word")
    continue
  fi
  "${command[@]}" >>"$printed"
  command=()
done
awk -v whole="$whole" -v document="$document" '
  FNR == 1 { ++file; title = "" }
  /^### / { title = $0; ++times[file, title]; if (file == 1) titles[++count] = title; else found[title]; next }
  /^\|/ { if (title != "") { table[file, title] = table[file, title] $0 "\n"; if (file == 1) ++lines }; next }
  /./ { title = "" }
  END {
    for (i = 1; i <= count; ++i) {
      title = titles[i]
      if (times[1, title] != 1 || times[2, title] != 1) {
        printf "%s: is printed %d times and stands in %s %d times\n", title, times[1, title], document, times[2, title]
        bad = 1
      } else if (table[1, title] != table[2, title]) {
        printf "%s: %s has\n%sand printed is\n%s", title, document, table[2, title], table[1, title]
        bad = 1
      }
    }
    for (title in found)
      if (whole == "yes" && !((1, title) in times)) {
        printf "%s: stands in %s and is not printed\n", title, document
        bad = 1
      }
    if (lines == 0) {
      print "no table is printed"
      bad = 1
    }
    if (!bad) printf "%d tables of %d lines are in %s\n", count, lines, document
    exit bad
  }' "$printed" "$document"
