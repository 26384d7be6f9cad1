#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# check_document.sh PROGRAM DOCUMENT: every table that the program prints stands in the document, line by line.
set -euo pipefail
output=$("$1" --check && "$1" --check --measure 2 && "$1" --check --measure 4)
missing=$(grep '^[#|]' <<<"$output" | grep -vxFf "$2" || true)
if [ -n "$missing" ]; then
  echo "not in $2, print the tables again:"
  echo "$missing"
  exit 1
fi
echo "$(grep -c '^|' <<<"$output") lines of tables are in $2"
