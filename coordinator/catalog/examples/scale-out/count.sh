#!/bin/sh
# out: voters=N, members with a vote that have started; registered=N, machines that are registered
set -eu
voters=$(etcdctl member list | grep -c ', started, .*, false$' || true)
registered=$(etcdctl get machines/ --prefix --keys-only | grep -c '^machines/' || true)
echo "$voters control machines have a vote, $registered workers are registered"
printf 'voters=%s\nregistered=%s\n' "$voters" "$registered" >>"$LOCKSTEP_OUTPUT"
