#!/bin/bash
# PID 1 of one test host. Builds the host's file system over the machine's own, and then only reaps.
# Runs in fresh mount, PID, UTS, IPC and network namespaces; whatever it does ends with them.
#
# usage: host-init.sh NAME DISK HOSTS SHARED PROJECT
#   DISK     the host's own folder: what it writes is kept there from boot to boot
#   HOSTS    the file that every host sees as /etc/hosts
#   SHARED   the folder that every host sees as /shared
#   PROJECT  the source tree, seen at its own path, read-only
set -eu
name=$1 disk=$2 hosts=$3 shared=$4 project=$5
root=$disk/root

mkdir -p "$disk/upper" "$disk/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" overlay "$root"
cd "$root"

mkdir -p proc sys dev run tmp shared
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

mount --bind "$shared" shared
# Only now, because the tree may lie under /tmp.
mkdir -p ".$project"
mount --bind "$project" ".$project"
mount -o remount,bind,ro ".$project"

# A look-up that cannot be answered costs tens of seconds everywhere; refused ones cost nothing.
rm -f etc/resolv.conf etc/hosts
echo 'nameserver 127.0.0.1' >etc/resolv.conf
touch etc/hosts
mount --bind "$hosts" etc/hosts
hostname "$name"
echo "$name" >etc/hostname
[ -e etc/lockstep-test-host ] || tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
touch etc/lockstep-test-host
# Packages must not start services by themselves: when that happens is what is being tested.
printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
# apt finds what `scripts/test` fetched, and spends no time on manuals or on the safety of a disk in memory.
cat >etc/apt/apt.conf.d/99-test-host <<EOF
Dir::Cache::archives "$project/node_modules/.cache/debian";
Debug::NoLocking "true";
APT::Sandbox::User "root";
EOF
printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/man/*' >etc/dpkg/dpkg.cfg.d/99-test-host

pivot_root . .
umount -l .
cd /
trap 'exit 0' TERM
echo up
# bash collects every orphan that falls to PID 1; it only needs to stay.
while :; do
  sleep 3600 &
  wait
done
