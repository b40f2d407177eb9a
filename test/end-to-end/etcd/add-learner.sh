#!/bin/sh
# Adds a node to the cluster as a learner, once.
# in: PARAM_NAME, PARAM_URL (its peer URL); out: peers=NAME=URL,… for the newcomer's configuration
set -eu
if ! etcdctl member list | grep -qF " $PARAM_URL,"; then
  etcdctl member add "$PARAM_NAME" --learner --peer-urls="$PARAM_URL"
fi
# A member has no name until it has started: then it is the newcomer.
peers=$(etcdctl member list | awk -F', ' -v newcomer="$PARAM_NAME" '{
  printf "%s%s=%s", separator, ($3 == "" ? newcomer : $3), $4; separator = "," }')
echo "peers=$peers" >>"$LOCKSTEP_OUTPUT"
