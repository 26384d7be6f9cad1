#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# check_document.sh finds out whatever the document and what is printed do not share.
set -euo pipefail
check=$(dirname "$0")/check_document.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
document=$folder/page.md
printf '%s\n' 'some 5 rows' '' '### A' '' '| n |' '| - |' '| 1 |' '| 2 |' '' 'text' '' '| a table of prose |' '' '### B' '' '| n |' '| - |' '| 3 |' >"$document"
a=$'check\n\n### A\n\n| n |\n| - |\n| 1 |\n| 2 |\n\nrest' b=$'### B\n\n| n |\n| - |\n| 3 |'

expect() {  # <0 or 1> <what> <arguments of the check>...
  local status=0 said
  said=$(bash "$check" "$document" "${@:3}" 2>&1) || status=1
  [ "$status" = "$1" ] || { echo "$2: the status is $status, it says: $said"; exit 1; }
}
expect 0 "one of the tables" echo "$a"
expect 0 "both tables" --whole echo "$a" -- echo "$b"
expect 1 "a table that is not printed" --whole echo "$a"
expect 1 "a row that is not printed" echo "${a/$'| 2 |\n'/}"
expect 1 "a row that the page lacks" echo "${b}"$'\n| 4 |'
expect 1 "another figure" echo "${a/| 2 |/| 7 |}"
expect 1 "a row of another table" echo "${a/| 2 |/| 3 |}"
expect 1 "rows in another order" echo "${a/$'| 1 |\n| 2 |'/$'| 2 |\n| 1 |'}"
expect 1 "a table that the page lacks" echo "${a/\#\#\# A/### C}"
expect 1 "nothing printed" true
expect 1 "a command that fails" bash -c 'echo "$0"; exit 3' "$a"
echo "all differences are found out"
