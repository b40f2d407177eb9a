#!/bin/sh
# out: healthy=N, the number of members that answer, as seen from this node
echo "healthy=$(etcdctl endpoint health --cluster 2>&1 | grep -c 'is healthy')"
