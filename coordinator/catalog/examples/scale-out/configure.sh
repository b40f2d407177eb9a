#!/bin/sh
# Writes the configuration of this machine's member where Debian's package expects it.
# in: PARAM_ADDRESS; usage: configure.sh new|existing NAME=PEER-URL,… TOKEN
set -eu
cat >/etc/default/etcd.new <<END
ETCD_NAME=$LOCKSTEP_NODE
ETCD_DATA_DIR=/var/lib/etcd/default
ETCD_LISTEN_PEER_URLS=http://$PARAM_ADDRESS:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://$PARAM_ADDRESS:2380
ETCD_LISTEN_CLIENT_URLS=http://$PARAM_ADDRESS:2379,http://127.0.0.1:2379
ETCD_ADVERTISE_CLIENT_URLS=http://$PARAM_ADDRESS:2379
ETCD_INITIAL_CLUSTER=$2
ETCD_INITIAL_CLUSTER_STATE=$1
ETCD_INITIAL_CLUSTER_TOKEN=$3
END
mv /etc/default/etcd.new /etc/default/etcd
