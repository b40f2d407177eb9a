#!/bin/sh
set -eu
mkdir -p "$PARAM_FOLDER/$LOCKSTEP_NODE"
echo "$PARAM_CLUSTER" >"$PARAM_FOLDER/$LOCKSTEP_NODE/cluster"
echo "joined $PARAM_CLUSTER, founded by $PARAM_LEADER"
