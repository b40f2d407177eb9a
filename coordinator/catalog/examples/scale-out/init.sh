#!/bin/sh
# Makes a new cluster of this machine alone, and notes in /var/lib/etcd/initialised when that was.
# in: PARAM_ADDRESS
set -eu
if ! [ -d /var/lib/etcd/default/member ]; then
  # The cluster's id follows from the token: no other cluster can have the same.
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  ./configure.sh new "$LOCKSTEP_NODE=http://$PARAM_ADDRESS:2380" "$token"
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) by run $LOCKSTEP_RUN" >>/var/lib/etcd/initialised
fi
./start.sh
