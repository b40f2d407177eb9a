#!/bin/sh
# out: member=BOOL, whether this machine has ever been a member, running or not
set -eu
if [ -d /var/lib/etcd/default/member ]; then member=true; else member=false; fi
echo "member=$member" >>"$LOCKSTEP_OUTPUT"
