#!/bin/sh
# Takes this machine into the cluster as a learner, which has no vote, and starts it. Safe to run again.
# in: PARAM_ADDRESS, PARAM_OTHERS (client URLs of the other control machines)
set -eu
export ETCDCTL_ENDPOINTS="$PARAM_OTHERS"
url=http://$PARAM_ADDRESS:2380
if ! [ -d /var/lib/etcd/default/member ]; then
  members=$(etcdctl member list)
  if echo "$members" | grep -F ", started, " | grep -qF ", $url,"; then
    echo "the cluster has a member at $url, but its data is not on this machine." >&2
    echo "Remove it first, on another control machine: etcdctl member remove ID" >&2
    echo "$members" >&2
    exit 1
  fi
  if ! echo "$members" | grep -qF ", $url,"; then
    etcdctl member add "$LOCKSTEP_NODE" --learner --peer-urls="$url"
    members=$(etcdctl member list)
  fi
  # A member has no name until it has started: that is this one.
  peers=$(echo "$members" | awk -F', ' -v own="$LOCKSTEP_NODE" '{
    printf "%s%s=%s", separator, ($3 == "" ? own : $3), $4; separator = "," }')
  ./configure.sh existing "$peers" joined
fi
./start.sh
