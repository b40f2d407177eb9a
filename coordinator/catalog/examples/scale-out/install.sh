#!/bin/sh
# Installs Debian packages without starting what is in them: it has no configuration yet.
# usage: install.sh PACKAGE…
set -eu
export DEBIAN_FRONTEND=noninteractive
if [ -d /run/systemd/system ]; then
  systemctl mask etcd.service
  trap 'systemctl unmask etcd.service' EXIT
fi
apt-get install -y -q "$@"
