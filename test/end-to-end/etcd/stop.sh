#!/bin/sh
# Ends etcd, which hands its leadership on before it goes; succeeds when it does not run.
set -eu
[ -r /run/etcd.pid ] || exit 0
pid=$(cat /run/etcd.pid)
kill -TERM "$pid" 2>/dev/null || true
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
rm -f /run/etcd.pid
