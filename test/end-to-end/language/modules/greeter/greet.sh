#!/bin/sh
set -eu
echo "greeting=$(./tools/repeat "hello $PARAM_NAME" "$PARAM_TIMES")" >>"$LOCKSTEP_OUTPUT"
