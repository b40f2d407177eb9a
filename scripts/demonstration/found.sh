#!/bin/sh
set -eu
mkdir -p "$PARAM_FOLDER/$LOCKSTEP_NODE"
id=cluster-$LOCKSTEP_RUN
echo "$id" >"$PARAM_FOLDER/$LOCKSTEP_NODE/cluster"
echo "cluster=$id" >>"$LOCKSTEP_OUTPUT"
echo "founded $id"
