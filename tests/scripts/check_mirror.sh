#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every header has its test at the same path, and every unit test its header.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Headers without a test of their own, and why.
allowed='
headgate        the umbrella: nothing but includes; the consumers, examples and header verification compile it
fwd             declarations only; header verification compiles it
version         three constants; the consumers print them
config          macros only; tests/hostile and tests/odr test them
communicators/mpi_ranks     needs several processes; tests/mpi tests it
communicators/mpi_exchange  is what mpi_ranks is made of
'

headers=$(cd include/headgate && find . -name '*.hpp' | sed 's|^\./||; s|\.hpp$||' | sort)
tests=$(cd tests/unit 2>/dev/null && find . -name '*.cpp' | sed 's|^\./||; s|\.cpp$||' | sort) || tests=
excused=$(awk 'NF { print $1 }' <<<"$allowed" | sort)

bad=0
report() {  # <sentence with %s> <names on stdin>
  while read -r name; do
    [ -z "$name" ] || { printf "$1\n" "$name"; bad=1; }
  done
}
report 'include/headgate/%s.hpp has no test at the same path under tests/unit' \
  < <(comm -23 <(comm -23 <(echo "$headers") <(echo "$excused")) <(echo "$tests"))
report 'tests/unit/%s.cpp has no header at the same path under include/headgate' < <(comm -13 <(echo "$headers") <(echo "$tests"))
report 'check_mirror.sh excuses %s, which does not exist' < <(comm -13 <(echo "$headers") <(echo "$excused"))
exit $bad
