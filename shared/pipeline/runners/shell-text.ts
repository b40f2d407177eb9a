/** Pieces of the `sh` programs that runners are compiled to. They must do with any POSIX shell, also busybox's. */

/** One word, whatever it holds. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** `lines` as one program. */
export const program = (...lines: readonly string[]): string => `${lines.join('\n')}\n`;

/** Where parts are told: agents of old do not listen. */
export const partsVariable = 'parts=${LOCKSTEP_PARTS:-/dev/null}';

/**
 * `now` prints hundredths of a second since the boot, which no clock that is set can move; the `1` before them keeps
 * `08` from being read as an octal number. `tell` says something of a part.
 */
export const tellingParts = `${partsVariable}
now() {
  read -r seconds rest </proc/uptime
  echo "$((\${seconds%.*} * 100 + 1\${seconds#*.} - 100))"
}
tell() { printf '%s\\n' "$1" >>"$parts"; }`;
