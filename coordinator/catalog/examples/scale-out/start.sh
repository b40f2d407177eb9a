#!/bin/sh
# Starts this machine's member, by systemd where there is one; does nothing when it runs already.
set -eu
if [ -d /run/systemd/system ]; then
  systemctl enable etcd.service
  exec systemctl start --no-block etcd.service
fi
if [ -r /run/etcd.pid ] && kill -0 "$(cat /run/etcd.pid)" 2>/dev/null; then exit 0; fi
set -a
# shellcheck source=/dev/null
. /etc/default/etcd
set +a
setsid setpriv --reuid=etcd --regid=etcd --clear-groups etcd </dev/null >>/var/log/etcd.log 2>&1 &
echo $! >/run/etcd.pid
