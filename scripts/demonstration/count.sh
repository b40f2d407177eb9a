#!/bin/sh
set -eu
own=$(cat "$PARAM_FOLDER/$LOCKSTEP_NODE/cluster")
count=$(grep -lx "$own" "$PARAM_FOLDER"/*/cluster | wc -l)
echo "members=$count" >>"$LOCKSTEP_OUTPUT"
echo "$count nodes are in $own"
