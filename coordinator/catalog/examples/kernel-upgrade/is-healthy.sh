#!/bin/sh
set -eu
sh -c "$PARAM_HEALTHY"
