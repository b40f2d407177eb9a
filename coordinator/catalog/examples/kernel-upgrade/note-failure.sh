#!/bin/sh
# On the controller: the target stays drained; says what there is to know for whoever looks at it.
set -eu
echo "$LOCKSTEP_FAILURE_NODE stays drained: $LOCKSTEP_FAILURE_STEP failed (exit ${LOCKSTEP_FAILURE_EXIT:-none}): $LOCKSTEP_FAILURE_REASON"
printf '%s\n' "$LOCKSTEP_FAILURE_LOG_TAIL" | sed 's/^/    /'
