#!/bin/sh
# Exit 0: this machine is registered with its address; 1: not yet, or nobody answers.
# in: PARAM_ADDRESS, PARAM_ENDPOINTS
address=$(etcdctl --endpoints="$PARAM_ENDPOINTS" get "machines/$LOCKSTEP_NODE" --print-value-only) || exit 1
[ "$address" = "$PARAM_ADDRESS" ] || exit 1
