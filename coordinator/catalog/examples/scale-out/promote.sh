#!/bin/sh
# Asks the others to give this machine's learner a vote; fails until it has one.
# in: PARAM_ADDRESS, PARAM_OTHERS (client URLs of the other control machines)
set -eu
export ETCDCTL_ENDPOINTS="$PARAM_OTHERS"
id=$(etcdctl member list |
  awk -F', ' -v url="http://$PARAM_ADDRESS:2380" '$4 == url && $6 == "true" { print $1 }')
[ -z "$id" ] || etcdctl member promote "$id"
