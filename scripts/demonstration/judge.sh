#!/bin/sh
set -eu
cd "$PARAM_FOLDER"
for node in $PARAM_NODES; do
  if [ "$(tr '\n' ' ' <"$node")" != 'one two three four ' ]; then
    echo "$node has done: $(tr '\n' ' ' <"$node")"
    exit 1
  fi
done
echo "each of $PARAM_NODES has done one, two, three, four: each once, in this order"
