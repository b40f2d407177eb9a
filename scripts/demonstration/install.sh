#!/bin/sh
set -eu
echo "$PARAM_VERSION" >"$PARAM_FOLDER/$LOCKSTEP_NODE/version"
# A service that needs a moment after its start, as real ones do: verify waits for it.
(sleep 0.5 && touch "$PARAM_FOLDER/$LOCKSTEP_NODE/ready") &
wait
echo "installed $PARAM_VERSION"
