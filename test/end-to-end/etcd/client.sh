#!/bin/bash
# A client that writes and reads until it is ended, and mends what fails by trying again for two seconds.
# Prints `ok NUMBER` for each number that was written and read back, `lost NUMBER …` when that did not help.
# usage: client.sh ENDPOINT,…
export ETCDCTL_ENDPOINTS=$1

once() {
  etcdctl --dial-timeout=500ms --command-timeout=1s put client "$1" >/dev/null &&
    [ "$(etcdctl --dial-timeout=500ms --command-timeout=1s get client --print-value-only)" = "$1" ]
}

for ((number = 1; ; number += 1)); do
  deadline=
  until once "$number" 2>/tmp/client-error; do
    now=$(date +%s%N)
    [ -n "$deadline" ] || deadline=$((now + 2000000000))
    if [ "$now" -ge "$deadline" ]; then
      echo "lost $number: $(tail -1 /tmp/client-error)"
      continue 2
    fi
    sleep 0.1
  done
  echo "ok $number"
done
