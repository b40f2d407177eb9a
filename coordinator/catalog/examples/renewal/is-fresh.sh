#!/bin/sh
# Exit 0: the certificate lasts longer than $PARAM_DAYS days; 1: it does not, or there is none.
set -u
[ -r "$PARAM_CERTIFICATE" ] || { echo "there is no certificate $PARAM_CERTIFICATE yet"; exit 1; }
openssl x509 -in "$PARAM_CERTIFICATE" -noout -enddate
openssl x509 -in "$PARAM_CERTIFICATE" -noout -checkend $((PARAM_DAYS * 86400)) >/dev/null || exit 1
