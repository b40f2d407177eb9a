#!/bin/sh
# On the controller: lets the target have work again.
set -eu
sh -c "$PARAM_UNDRAIN \"\$1\"" undrain "$LOCKSTEP_TARGET"
