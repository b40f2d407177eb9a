#!/bin/sh
# Asks to make the learner a voter; etcd refuses until it has caught up. Run again until it is one.
# in: PARAM_URL (its peer URL); out: voters=N
set -u
learner=$(etcdctl member list | awk -F', ' -v url="$PARAM_URL" '$4 == url && $6 == "true" { print $1 }')
[ -z "$learner" ] || etcdctl member promote "$learner"
echo "voters=$(etcdctl member list | grep -c ', started, .*, false$')" >>"$LOCKSTEP_OUTPUT"
