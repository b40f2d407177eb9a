#!/bin/sh
# Exit 0: this machine's member runs, with or without a vote; 1: it does not, or there is none.
[ -d /var/lib/etcd/default/member ] || exit 1
etcdctl --endpoints=http://127.0.0.1:2379 endpoint status || exit 1
