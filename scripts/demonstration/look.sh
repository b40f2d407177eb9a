#!/bin/sh
# What a script tells others goes to $LOCKSTEP_OUTPUT as KEY=value; the rest is its log.
set -eu
echo "$LOCKSTEP_NODE runs $(uname -sr)"
echo "kernel=$(uname -r)" >>"$LOCKSTEP_OUTPUT"
echo "cpus=$(getconf _NPROCESSORS_ONLN)" >>"$LOCKSTEP_OUTPUT"
