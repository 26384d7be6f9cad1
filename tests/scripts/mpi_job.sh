# SPDX-License-Identifier: BSD-3-Clause
# For tests that end a process of an MPI job, which source this file. They set `program` and define `processes`, which prints
# the process numbers of the job that runs. `log` is what the job writes.
log=$(mktemp)
job=

clean_up() {  # those that a stopped or confused launcher has left
  local pid
  for pid in $(processes); do
    [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" != "$(readlink -f "$program")" ] || kill -KILL "$pid" 2>/dev/null || true
  done
  [ -z "$job" ] || kill -KILL "$job" 2>/dev/null || true
}
trap 'clean_up; rm -rf "$log" "${folder:-}"' EXIT

complain() {
  echo "$(basename "$0"): $*"
  cat "$log"
  exit 1
}
start() {  # <command>...
  "$@" >"$log" 2>&1 &
  job=$!
}
status=0  # of the last job that ended
ends_anyhow_within() {  # <seconds>
  local i
  status=0
  for i in $(seq $(($1 * 20))); do
    kill -0 "$job" 2>/dev/null || break
    sleep 0.05
  done
  ! kill -0 "$job" 2>/dev/null || complain "the job still runs after $1 seconds"
  wait "$job" || status=$?
  job=
}
ends_within() {  # <seconds>; the job must fail
  ends_anyhow_within "$1"
  [ "$status" -ne 0 ] || complain "the job ended with status 0"
}
