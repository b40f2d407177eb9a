#!/bin/sh
set -eu
rm -f "$PARAM_FOLDER/$LOCKSTEP_NODE/ready"
echo "drained"
sleep 0.4
