#!/bin/sh
# Renews the certificate with the tool of the site.
set -eu
echo "renewing $PARAM_CERTIFICATE with: $PARAM_COMMAND"
sh -c "$PARAM_COMMAND"
