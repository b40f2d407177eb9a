#!/bin/sh
# Exit 0: the newest kernel that is installed is running; 1: it is not.
set -eu
installed=$(sh -c "$PARAM_INSTALLED")
running=$(sh -c "$PARAM_RUNNING")
echo "running $running, installed $installed"
[ "$running" = "$installed" ] || exit 1
