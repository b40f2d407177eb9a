#!/bin/bash
# One execution of a job that leaves witnesses of itself: a line in a file of the attempt on the host's own disk
# (the side effect), a begin and an end in /shared/trace, and a log whose every byte can be foretold.
# /shared/trace is the clock of all hosts: each line is one append of one file, so its number is a place in one
# order.
#
# usage: job.sh [fails-once|counts]
#   fails-once   the first execution of the job fails
#   counts       tells by an output how often this attempt was executed
set -eu
folder=/var/lib/chaos/$LOCKSTEP_RUN/$LOCKSTEP_STEP
attempt=${LOCKSTEP_ATTEMPT##*#}

echo "$LOCKSTEP_ATTEMPT begin" >>/shared/trace
mkdir -p "$folder"
first=yes
[ -z "$(ls "$folder")" ] || first=no
echo "$LOCKSTEP_ATTEMPT" >>"$folder/$attempt"
execution=$(wc -l <"$folder/$attempt")

for ((from = 1; from <= 200; from += 50)); do
  printf "$LOCKSTEP_ATTEMPT $execution %d\n" $(seq "$from" $((from + 49)))
  sleep 0.1
done

# What another step put out arrived as it was.
[ "${PARAM_WORD:-$LOCKSTEP_RUN}" = "$LOCKSTEP_RUN" ]
case ${1:-} in
  fails-once) [ $first = no ] ;;
  counts) echo "count=$execution" >>"$LOCKSTEP_OUTPUT" ;;
esac
[ "$LOCKSTEP_STEP" = "${LOCKSTEP_STEP%-word}" ] || echo "word=$LOCKSTEP_RUN" >>"$LOCKSTEP_OUTPUT"
echo "$LOCKSTEP_ATTEMPT end" >>/shared/trace
