#!/bin/sh
set -eu
mkdir -p "$PARAM_FOLDER"
: >"$PARAM_FOLDER/$LOCKSTEP_NODE"
