#!/bin/sh
# Not to be run twice: each run leaves a line.
set -eu
echo "$LOCKSTEP_STEP" >>"$PARAM_FOLDER/$LOCKSTEP_NODE"
for second in 1 2 3 4; do
  echo "$LOCKSTEP_STEP has worked for $second s"
  sleep 1
done
