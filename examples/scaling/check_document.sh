#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# check_document.sh DOCUMENT COMMAND...: every table that the command prints stands in the document, line by line.
set -euo pipefail
document=$1
shift
output=$("$@")
missing=$(grep '^[#|]' <<<"$output" | grep -vxFf "$document" || true)
if [ -n "$missing" ]; then
  echo "not in $document, print the tables again:"
  echo "$missing"
  exit 1
fi
echo "$(grep -c '^|' <<<"$output") lines of tables are in $document"
