#!/bin/sh
# Prints the files that came along, and how many of them may be executed.
set -eu
cat "$1/one.txt" "$1/deep/two.txt" "$2"
find -L . -type f -perm -u+x | sort
