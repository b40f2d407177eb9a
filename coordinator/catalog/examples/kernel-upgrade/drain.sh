#!/bin/sh
# On the controller: takes the work from the node that is the target.
set -eu
sh -c "$PARAM_DRAIN \"\$1\"" drain "$LOCKSTEP_TARGET"
