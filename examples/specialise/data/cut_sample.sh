#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Cuts this folder's sample out of what get_text.sh wrote to DIR: of each domain six excerpts of up to 8 KiB, whole lines, evenly
# spread. Prose comes from the handbook alone, the only one of the manuals whose licence this folder names (README.md).
set -eu
export LC_ALL=C

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
for domain in english french german go table xml; do
  from=$1/$domain.txt
  case $domain in
    english | french | german)
      from=$1/handbook/$domain.txt
      # The other manuals begin behind the handbook, and each names itself and its licence there.
      cmp -s "$from" <(head -c "$(wc -c < "$from")" "$1/$domain.txt") ||
        { echo "cut_sample.sh: $1/$domain.txt does not begin with $from: they are of two fetches" >&2; exit 1; } ;;
  esac
  size=$(wc -c < "$from")
  for part in 0 1 2 3 4 5; do
    tail -c +$((part * (size - 8192) / 5 + 1)) "$from" | head -c 8192 | sed -e 1d -e '$d'
  done > "$here/$domain.txt"
done

# What only the manuals under the General Public License would say.
if grep -nEi 'licence publique|publique g.{1,2}n.{1,2}rale|public licen[cs]e|GPL|debian[- ]refere|r.{1,2}f.{1,2}rence debian|developer.?.?.?s.? reference|debian (gnu/linux )?faq' \
  "$here/english.txt" "$here/french.txt" "$here/german.txt"; then
  echo "cut_sample.sh: these lines are not the handbook's, or speak of a licence that README.md does not name" >&2
  exit 1
fi
