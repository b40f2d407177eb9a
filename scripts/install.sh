# shellcheck shell=bash
# Brings what the scripts need onto a fresh machine: npm packages, and for the tests on real hosts a few of
# Debian's. Sourced by `scripts/up` and `scripts/test` from the top of the tree; starts nothing itself.

# Installs the npm packages that package-lock.json pins, when they are not there, or the lock has changed, or
# the tree has been moved (tap's build knows its place).
# Two calls at once wait for each other.
install_packages() {
  local stamp=node_modules/.installed want log
  exec 9<package-lock.json
  flock 9
  want="$(sha256sum <package-lock.json) $PWD"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
    command -v npm >/dev/null || {
      echo "needs Node.js 20 or newer with npm; on Debian: apt-get install nodejs npm" >&2
      return 1
    }
    echo "installing npm packages"
    log=$(mktemp)
    # tap compiles itself for the plugins that .taprc names; without it the first test run would do so, and fail.
    if ! { npm ci --no-progress && PATH="$PWD/node_modules/.bin:$PATH" tap build; } >"$log" 2>&1; then
      cat "$log" >&2
      rm -f "$log"
      echo "the npm packages could not be installed (see above)" >&2
      return 1
    fi
    rm -f "$log"
    echo "$want" >"$stamp"
  fi
  exec 9<&-
}

# Installs Debian packages whose commands are missing: `command:package …`. Says so and goes on when it may
# not or cannot; what needs them then tells why it is skipped.
install_commands() {
  local pair missing=()
  for pair; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed, because that needs root on Debian: ${missing[*]}"
    return 0
  fi
  echo "installing from Debian: ${missing[*]}"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >/dev/null || echo "could not install ${missing[*]} (see above)"
}

# Fetches Debian packages into FOLDER without installing them on this machine: test hosts install them there.
fetch_archives() {
  local folder=$1 name missing=()
  shift
  for name; do
    compgen -G "$folder/${name}_*.deb" >/dev/null || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not fetched, because that needs root on Debian: ${missing[*]}"
    return 0
  fi
  echo "fetching from Debian for test hosts: ${missing[*]}"
  mkdir -p "$folder/partial"
  { apt-get update -qq && apt-get install -y -qq --reinstall --download-only --no-install-recommends \
    -o "Dir::Cache::archives=$(realpath "$folder")" -o APT::Sandbox::User=root "${missing[@]}"; } >/dev/null ||
    echo "could not fetch ${missing[*]} (see above)"
}
