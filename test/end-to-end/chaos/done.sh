#!/bin/sh
# Whether this job, in whatever attempt, has left its side effect; prints nothing.
[ -n "$(ls "/var/lib/chaos/$LOCKSTEP_RUN/${LOCKSTEP_STEP%.verify}" 2>/dev/null)" ] || exit 1
