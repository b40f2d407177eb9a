#!/bin/sh
# Installs the newest kernel; the reboot into it is Lockstep's.
set -eu
sh -c "$PARAM_INSTALL"
echo "installed $(sh -c "$PARAM_INSTALLED")"
