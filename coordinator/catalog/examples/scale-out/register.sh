#!/bin/sh
# Tells the platform of this machine.
# in: PARAM_ADDRESS, PARAM_ENDPOINTS
set -eu
etcdctl --endpoints="$PARAM_ENDPOINTS" put "machines/$LOCKSTEP_NODE" "$PARAM_ADDRESS"
