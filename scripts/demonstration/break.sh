# shellcheck shell=bash
# Breaks something for twenty seconds while a pipeline runs, and shows that nothing is lost. Sourced by
# scripts/up, whose functions and variables it uses.
#
# usage: . break.sh; demonstrate_break link|agent|coordinator

broken_seconds=20
victim=n2
told() { printf '\n>>> %s\n\n' "$*"; }

# The victim's agent behind a cable that can be pulled.
lay_cable() {
  local port
  : >"$data/logs/cable.log"
  PATH="$root/node_modules/.bin:$PATH" setsid node "$root/scripts/demonstration/relay.ts" "$(host_of "$url")" "${url##*:}" \
    </dev/null >>"$data/logs/cable.log" 2>&1 &
  remember "$data/pids/cable" $!
  for _ in $(seq 100); do
    port=$(head -n 1 "$data/logs/cable.log")
    [ -n "$port" ] && break
    sleep 0.1
  done
  stop "$data/pids/$victim"
  start_agent "$victim" "http://127.0.0.1:$port"
  wait_for_agents
}
take_up_cable() {
  stop "$data/pids/$victim" "$data/pids/cable"
  start_agent "$victim" "$url"
}
host_of() { sed -E 's#^http://(\[[^]]*\]|[^:/]*).*#\1#; s/[][]//g' <<<"$1"; }
pid_of() { cut -d' ' -f1 "$data/pids/$1"; }

break_it() {
  case $1 in
    link)
      kill -USR1 "$(pid_of cable)"
      told "The cable of $victim is pulled. Its jobs belong to it, not to the connection: it works on."
      ;;
    agent)
      kill -9 "$(pid_of "$victim")"
      told "The agent of $victim is killed. Its job runs on under its supervisor, which keeps its exit status."
      ;;
    coordinator)
      kill -9 "$(pid_of coordinator)"
      told "The coordinator is killed. The nodes work through what they have; the sequence is on the disk."
      ;;
  esac
}
mend_it() {
  case $1 in
    link)
      kill -USR2 "$(pid_of cable)"
      told "The cable is plugged in again. $victim comes back by itself within half a minute."
      ;;
    agent)
      start_agent "$victim" "$url"
      told "The agent is started again: it finds its jobs by claim, output and exit status."
      ;;
    coordinator)
      start_coordinator
      told "The coordinator is started again, and goes on exactly where it was."
      ;;
  esac
}

demonstrate_break() {
  local what=$1 run status=0
  [ "$what" = link ] && lay_cable
  run=$(lockstep run scripts/demonstration/broken.yaml --param "folder=$data/broken" -o json |
    sed -n 's/^ *"id": *"\(r[0-9]*\)".*/\1/p' | head -n 1)
  # Plain lines, so that what is told here stands between what happens there.
  lockstep watch "$run" </dev/null 2>&1 | cat &
  local watching=$!
  sleep 3
  break_it "$what"
  if [ "$what" != coordinator ]; then
    sleep 6
    told "Meanwhile: lockstep why $victim"
    lockstep why "$victim" || true
    sleep $((broken_seconds - 6))
  else
    sleep "$broken_seconds"
  fi
  mend_it "$what"
  wait "$watching" || true
  told "What the last step found:"
  lockstep logs "$run" judge || status=$?
  told "What the sequence says of $victim and of the coordinator (lockstep events --since 0):"
  lockstep events --since 0 -o jsonl | grep -E "\"run\":\"$run\".*\"node\":\"$victim\"|\"node\":\"$victim\".*\"run\":\"$run\"|\"(NodeDisconnected|NodeConnected)\".*\"$victim\"|ReignBegan" |
    sed -nE 's/.*"seq":([0-9]+).*"type":"([A-Za-z]+)".*"step":"([a-z.-]+)".*/  seq \1  \2 \3/p; t; s/.*"seq":([0-9]+).*"type":"([A-Za-z]+)".*/  seq \1  \2/p' | tail -n 24
  [ "$what" = link ] && take_up_cable
  return "$status"
}
