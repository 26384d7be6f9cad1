#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A job of four MPI processes ends, and says why, when one of them is killed, stopped, or throws, or MPI knows no threads. It
# does not when all of them are stopped, and go on.
#   mpi_death.sh <headgate_mpi_death> <command that starts four processes>...
set -euo pipefail
program=$1
shift
start_four=("$@")
. "$(dirname "$0")/mpi_job.sh"

processes() { sed -n 's/^rank [0-9]* is process //p' "$log"; }
start_program() { start "${start_four[@]}" "$program" "$@"; }  # <argument>...
process_of() {  # <rank>, once all run
  local i
  for i in $(seq 600); do
    [ "$(processes | wc -l)" -lt 4 ] || break
    sleep 0.05
  done
  [ "$(processes | wc -l)" -ge 4 ] || complain "four processes did not start within 30 seconds" >&2
  sleep 0.3
  sed -n "s/^rank $1 is process //p" "$log"
}

start_program 60
kill -KILL "$(process_of 2)"
ends_within 20
echo "killed: the job ended, by Headgate or by its launcher"

# A launcher that leaves the others alone: they find out by themselves. Its own status is then 0.
no_word='(all_reduce|broadcast): rank 2 (did not come to|fell silent in) (all_reduce of 1000 float32|broadcast of 1 int64 from rank 0): no word for 2 seconds'
if [[ "$("${start_four[0]}" --version 2>/dev/null)" == *"(Open MPI) 4"* ]]; then
  start "${start_four[0]}" --enable-recovery "${start_four[@]:1}" "$program" 2
  kill -KILL "$(process_of 2)"
  ends_anyhow_within 20
  for rank in 0 1 3; do
    grep -qE "^rank $rank of 4: ($no_word|[a-z_]+: rank [013] got an error from MPI in a message with rank 2: .*)$" "$log" ||
      complain "rank $rank does not say that rank 2 is gone"
  done
  clean_up
  echo "killed, and the launcher looks away: $(grep -m1 -E '^rank [013] of 4' "$log")"
fi

start_program 2
victim=$(process_of 2)
kill -STOP "$victim"
ends_within 20
grep -qE "^rank [013] of 4: $no_word\$" "$log" ||
  complain "no sentence names rank 2 and the operation"
clean_up
echo "stopped: $(grep -m1 'no word' "$log")"

start_program 1 short
process_of 3 >/dev/null
kill -STOP $(processes)
sleep 2
kill -CONT $(processes)
ends_anyhow_within 20
[ "$status" -eq 0 ] || complain "all were stopped and went on: the job ended with status $status"
echo "all stopped for longer than the time-out: they went on"

start_program 60 throw
ends_within 20
grep -q '^rank 3 of 4: no tokens are left$' "$log" || complain "the sentence of rank 3 is not there"
grep -qE '^rank [012] of 4: [a-z_]+: rank 3 failed: no tokens are left$' "$log" ||
  complain "no other rank says why rank 3 failed"
echo "thrown: $(grep -m1 'rank 3 failed' "$log")"

start_program 60 unthreaded
ends_within 20
grep -qE '^rank [0-3] of 4: run_mpi_ranks: MPI gives thread level 0, it must be at least 1' "$log" ||
  complain "no sentence on the thread level"
echo "unthreaded: $(grep -m1 'thread level' "$log")"
