#!/bin/sh
# Runs a command and notes when it began and ended, by the node that did it, where all hosts can see it:
# `MICROSECONDS NODE RUN STEP begin|end [STATUS]`. This is what order is proved from beside the journal.
# usage: traced.sh COMMAND…
trace() { echo "$(date +%s%6N) $LOCKSTEP_NODE $LOCKSTEP_RUN $LOCKSTEP_STEP $*" >>/shared/trace; }

trace begin
"$@"
status=$?
trace "end $status"
exit $status
