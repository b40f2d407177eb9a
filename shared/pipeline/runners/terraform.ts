/**
 * `terraform: { folder: ./infra }`, and the same with `tofu`: init, plan, and apply of exactly that plan. What must
 * outlive the job (state, providers, the lock of their versions) is kept on the node in a folder that only cluster,
 * pipeline and step name; the configuration is laid out there anew each time. Values in `with` are variables, and
 * outputs that the step declares are read from those of the configuration.
 */
import type { OutputDeclaration } from '../model.ts';
import type { Report } from '../report.ts';
import { asList } from '../roles.ts';
import type { TerraformFile } from '../runner-language.ts';
import type { Compiled, FileSet, FileStat } from '../scripts.ts';
import type { Path } from '../source.ts';
import { folderOf } from './places.ts';
import { partsVariable, program, quoted } from './shell-text.ts';

export type TerraformAround = {
  readonly tool: 'terraform' | 'tofu';
  /** Names of the values that are variables. */
  readonly variables: readonly string[];
  readonly outputs: Readonly<Record<string, OutputDeclaration>>;
};

/** What a node keeps for itself, and what the tool makes anew. */
const ownToNode = /^terraform\.tfstate|^\.terraform\/|^\.git\//;

export function compileTerraform(
  file: TerraformFile,
  { tool, variables, outputs }: TerraformAround,
  path: Path,
  beside: FileSet | undefined,
  report: Report,
): Compiled | undefined {
  const said = typeof file === 'string' ? { folder: file } : file;
  const at = typeof file === 'string' ? path : [...path, 'folder'];
  const folder = folderOf(said.folder, at, beside, report);
  if (folder === undefined) return undefined;
  const names = Object.keys(folder.files).filter((name) => !ownToNode.test(name));
  if (!names.some((name) => /^[^/]*\.(tf|tofu)(\.json)?$/.test(name))) {
    report.at(at, `there is no configuration in "${folder.path}"`, { expected: 'files such as main.tf' });
    return undefined;
  }
  for (const name of Object.keys(folder.files))
    if (/^terraform\.tfstate$/.test(name))
      report.warn(at, `"${folder.path}/${name}" does not come along: each node keeps a state of its own`);
  const files = new Map<string, FileStat>();
  for (const name of names) {
    const stat = folder.files[name];
    if (stat !== undefined) files.set(`${folder.path}/${name}`, stat);
  }
  const keep = 'keep' in said ? said.keep : undefined;
  const more = 'arguments' in said ? asList(said.arguments ?? []).map(quoted) : [];
  const script = (isPreview: boolean) => ({
    shell: ['sh'],
    text: program(
      `tool=${tool} folder=${quoted(folder.path)} keep=${keep === undefined ? "''" : quoted(keep)}`,
      partsVariable,
      ...variables.map((name) => {
        const given = `PARAM_${name.toUpperCase()}`;
        return `[ -z "\${${given}+x}" ] || export "TF_VAR_${name}=$${given}"`;
      }),
      planning,
      `planned ${more.join(' ')}`.trimEnd(),
      ...(isPreview
        ? ['tell_changes', 'exit "$changes"']
        : [applying, ...Object.entries(outputs).map(readOutput), 'exit 0']),
    ),
  });
  return { runner: tool, run: script(false), preview: script(true), files };
}

/** As text where the declaration takes it as it is, else as JSON, which is how numbers and truths look too. */
const readOutput = ([name, { type }]: readonly [string, OutputDeclaration]): string => {
  const form = type === 'string' || type === 'file' ? '-raw' : '-json';
  return program(
    `value=$("$tool" output -no-color ${form} ${name}) || exit 1`,
    `printf '%s<<END-OF-OUTPUT\\n%s\\nEND-OF-OUTPUT\\n' ${name} "$value" >>"$LOCKSTEP_OUTPUT"`,
  ).trimEnd();
};

/** `failed` tells the first error that the tool named, as a part, and ends. */
const planning = String.raw`set -u
command -v "$tool" >/dev/null || { echo "this node does not have $tool: install it" >&2; exit 127; }
[ -n "$keep" ] || {
  [ "$(id -u)" = 0 ] && keep=/var/lib/lockstep-$tool || keep=$HOME/.local/state/lockstep-$tool
  keep=$keep/$LOCKSTEP_CLUSTER/$LOCKSTEP_PIPELINE/$LOCKSTEP_STEP
}
echo "$tool: kept in $keep"
(umask 077 && mkdir -p "$keep") || exit 1
source=$PWD/$folder
cd "$keep" || exit 1
# What the configuration had before and has not now would still count.
[ ! -f .lockstep-files ] || while IFS= read -r each; do rm -f "./$each"; done <.lockstep-files
(cd "$source" && find . ! -type d) | sed 's|^\./||' >.lockstep-files
cp -RL "$source/." . || exit 1
plain() { printf %s "$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'; }
tell() { printf '{"name":"%s","state":"%s","message":"%s"}\n' "$(plain "$1")" "$2" "$(plain "$3")" >>"$parts"; }
step() {
  status=0
  "$tool" "$@" 2>.lockstep-errors || status=$?
  cat .lockstep-errors >&2
}
failed() {
  tell "$tool $1" failed "$(sed -n 's/^[^A-Za-z]*\(Error: .*\)/\1/p' .lockstep-errors | head -n 1)"
  exit "$status"
}
planned() {
  step init -input=false -no-color
  [ "$status" = 0 ] || failed init
  step plan -input=false -no-color -detailed-exitcode -out=.lockstep-plan "$@"
  changes=0
  [ "$status" != 2 ] || changes=1
  [ "$status" = 0 ] || [ "$status" = 2 ] || { [ "$status" != 1 ] || status=3; failed plan; }
  "$tool" show -no-color .lockstep-plan | sed -n 's/^  # \([^ ]*\) \(.*\)/\1 \2/p' >.lockstep-changes
}
tell_changes() {
  while read -r resource what; do tell "$resource" changed "$what"; done <.lockstep-changes
}`;

const applying = `[ "$changes" = 0 ] || {
  step apply -input=false -no-color .lockstep-plan
  [ "$status" = 0 ] || failed apply
  tell_changes
}
rm -f .lockstep-plan`;
