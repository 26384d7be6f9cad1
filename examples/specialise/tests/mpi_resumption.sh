#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A run on several processes that loses one in the middle ends with an error in time; started again it goes on from its last
# checkpoint and ends with the weights and the log of threads that nobody disturbed.
#   mpi_resumption.sh <headgate_specialise> <headgate_specialise_mpi> <data> <ranks> <KILL|STOP> <command that starts so many processes>...
set -euo pipefail
threads=$1 program=$2 data=$3 ranks=$4 signal=$5
shift 5
launcher=("$@")
. "$(dirname "$0")/../../../tests/scripts/mpi_job.sh"
folder=$(mktemp -d)
export HEADGATE_JOB=$folder  # by which its processes are known
name=global-s1-r$ranks
arguments=(--data "$data" --seeds 1 --pools global --steps 30 --batch 32 --checkpoint-every 3 --log-every 2 --validate-every 10
           --validation-sequences 8)

processes() {
  grep -lzxF "HEADGATE_JOB=$folder" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do
    [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" != "$(readlink -f "$program")" ] || echo "$pid"
  done
}
process_of() {  # <rank>
  local pid
  for pid in $(processes); do
    ! grep -qzxE "(OMPI_COMM_WORLD_RANK|PMI_RANK)=$1" "/proc/$pid/environ" || echo "$pid"
  done
}
without_times() { sed -E 's/"(seconds|tokens_per_second)":[^,}]*,?//g' "$1"; }

"$threads" --out "$folder/threads" --ranks "$ranks" "${arguments[@]}" >"$log" 2>&1 || complain "threads do not train"

time_out=60
[ "$signal" = KILL ] || time_out=4
start "${launcher[@]}" "$program" --out "$folder/processes" --time-out "$time_out" "${arguments[@]}"
for i in $(seq 1200); do  # until there are two checkpoints
  [ ! -e "$folder/processes/$name.checkpoint.previous" ] || break
  kill -0 "$job" 2>/dev/null || complain "the job ended by itself"
  sleep 0.02
done
victim=$(process_of 1)
[ -n "$victim" ] || complain "there is no process of rank 1"
kill "-$signal" "$victim"
ends_within 30
! grep -q '"done"' "$folder/processes/$name.jsonl" || complain "the run was over before rank 1 was"
said="the job ended"
if [ "$signal" = STOP ]; then  # the sentence may stand behind a bar: launchers give their processes a terminal
  said=$(grep -m1 -oE "rank [0-9] of $ranks: [a-z_]+: rank 1 (did not come to|fell silent in) .*: no word for 4 seconds$" "$log") ||
    complain "no sentence names rank 1 and the operation"
fi
clean_up

"${launcher[@]}" "$program" --out "$folder/processes" "${arguments[@]}" >"$log" 2>&1 || complain "the job does not go on"
resumed=$(grep -m1 -o 'goes on after step [0-9]*' "$log") || complain "the job does not go on from a checkpoint"
diff <(without_times "$folder/threads/$name.jsonl") <(without_times "$folder/processes/$name.jsonl") ||
  complain "the logs differ"
echo "rank 1 of $ranks got SIG$signal: $said; $resumed; $(tail -1 "$folder/processes/$name.jsonl" | grep -o '"weights_checksum.*"') as with threads"
