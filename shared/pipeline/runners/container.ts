/**
 * `container: { image: … }`: a command or a script in a container, by docker or podman, whichever the node has. The
 * container sees the working folder as `/work` and begins there; it is called after run, step and node, so that what
 * an attempt that was killed left behind is removed by the next one, and there are never two.
 */
import type { Report } from '../report.ts';
import { asList } from '../roles.ts';
import type { ContainerFile } from '../runner-language.ts';
import type { Compiled } from '../scripts.ts';
import type { Path } from '../source.ts';
import { program, quoted } from './shell-text.ts';

export function compileContainer(file: ContainerFile, path: Path, report: Report): Compiled | undefined {
  const said = typeof file === 'string' ? { image: file } : file;
  const { image, run, command, volumes, arguments: more } = said;
  if (run !== undefined && command !== undefined) {
    report.at(path, 'a container runs either "run" or "command"', { expected: 'one of them' });
    return undefined;
  }
  const words = [
    ...asList(more ?? []).map(filledIn),
    ...asList(volumes ?? []).map((volume) => `--volume ${filledIn(volume)}`),
    filledIn(image),
    ...(run === undefined ? asList(command ?? []).map(filledIn) : ['sh', '-e', '/lockstep/script']),
  ];
  const lines = [
    head,
    ...(run === undefined
      ? []
      : [`cat >"$place/script" <<'${markFor(run)}'`, run.replace(/\n*$/, ''), markFor(run)]),
    `"$engine" run --rm --init --name "$name" "$@" ${words.join(' ')} &`,
    tail,
  ];
  return { runner: 'container', run: { shell: ['sh'], text: program(...lines) }, files: new Map() };
}

/** A word in which nothing counts but the names of values, as `$PARAM_NAME` or `${LOCKSTEP_NODE}`. */
const filledIn = (text: string): string =>
  text
    .split(/(\$(?:PARAM|LOCKSTEP)_[A-Z0-9_]+|\$\{(?:PARAM|LOCKSTEP)_[A-Z0-9_]+\})/)
    .map((part, index) => (part === '' ? '' : index % 2 === 1 ? `"${part}"` : quoted(part)))
    .join('');

/** A line that the script does not have. */
function markFor(script: string): string {
  let mark = 'END-OF-SCRIPT';
  while (script.split('\n').includes(mark)) mark += '-';
  return mark;
}

/** Files of a bundle are links to one shared copy outside of the working folder, which a container cannot follow. */
const head = String.raw`set -u
engine=
for each in docker podman; do
  [ -n "$engine" ] || ! command -v "$each" >/dev/null || engine=$each
done
[ -n "$engine" ] || {
  echo "this node has neither docker nor podman: install one of them" >&2
  exit 127
}
place=$(dirname "$LOCKSTEP_OUTPUT")/container
mkdir -p "$place"
find . -type l -exec sh -c 'for each; do cp -pL "$each" "$each.own" && mv -f "$each.own" "$each"; done' own {} +
name=lockstep-$(printf %s "$LOCKSTEP_RUN-$LOCKSTEP_STEP-$LOCKSTEP_NODE" | tr -c 'A-Za-z0-9_.-' -)
"$engine" rm --force "$name" >/dev/null 2>&1
set -- --volume "$PWD:/work" --workdir /work --volume "$place:/lockstep" \
  --volume "$LOCKSTEP_PARAMS:/lockstep/params.json:ro" --volume "$LOCKSTEP_OUTPUT:/lockstep/output"
for each in $(env | sed -n 's/^\(PARAM_[A-Z0-9_]*\)=.*/\1/p; s/^\(LOCKSTEP_[A-Z_]*\)=.*/\1/p'); do
  case $each in
    LOCKSTEP_PARAMS) set -- "$@" --env LOCKSTEP_PARAMS=/lockstep/params.json ;;
    LOCKSTEP_OUTPUT) set -- "$@" --env LOCKSTEP_OUTPUT=/lockstep/output ;;
    LOCKSTEP_PARTS) ;;
    *) set -- "$@" --env "$each" ;;
  esac
done`;

/** The engine's client may be ended without its container: that is told to end, and its status waited for. */
const tail = `child=$!
trap '"$engine" stop -t 8 "$name" >/dev/null 2>&1' TERM INT
status=0
wait "$child" || status=$?
# A signal ends the waiting, not what is waited for.
while kill -0 "$child" 2>/dev/null; do status=0; wait "$child" || status=$?; done
exit "$status"`;
