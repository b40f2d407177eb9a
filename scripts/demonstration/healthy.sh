#!/bin/sh
test -e "$PARAM_FOLDER/$LOCKSTEP_NODE/ready"
