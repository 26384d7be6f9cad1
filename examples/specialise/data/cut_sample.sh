#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Cuts this folder's sample out of what get_text.sh wrote to DIR: of each domain six excerpts of up to 8 KiB, whole lines, evenly
# spread. Prose comes from the first 640 kB, which is the handbook alone (README.md says why that matters).
set -eu
export LC_ALL=C

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
for domain in english french german go table xml; do
  size=$(wc -c < "$1/$domain.txt")
  case $domain in english | french | german) size=640000 ;; esac
  for part in 0 1 2 3 4 5; do
    tail -c +$((part * (size - 8192) / 5 + 1)) "$1/$domain.txt" | head -c 8192 | sed -e 1d -e '$d'
  done > "$here/$domain.txt"
done
