#!/bin/sh
# Exit 0: this machine's member answers as one with a vote does, by agreement with the others; else 1.
etcdctl --endpoints=http://127.0.0.1:2379 endpoint health || exit 1
