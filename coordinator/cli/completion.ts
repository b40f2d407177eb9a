/**
 * Shell completion made from the declared commands themselves, so that it cannot fall behind them. Words and
 * options only: asking a coordinator at every press of a key would be slow and sometimes wrong.
 */
import type { Command } from 'commander';
import { assertNever } from '../../shared/assert.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

type Candidate = { readonly word: string; readonly description: string };

/** Where somebody is on the command line (` node label`; empty at the start), and what may come there. */
type Place = { readonly path: string; readonly candidates: readonly Candidate[] };

function placesOf(command: Command, path = ''): Place[] {
  const { commands, options } = command;
  const visible = commands.filter((sub) => sub.name() !== 'help');
  const candidates = [
    ...visible.map((sub) => ({ word: sub.name(), description: sub.summary() || sub.description() })),
    ...options
      .filter(({ hidden, long }) => !hidden && long !== undefined)
      .map(({ long, description }) => ({ word: long ?? '', description })),
    { word: '--help', description: 'what it does, with examples' },
  ].map(({ word, description }) => ({ word, description: description.split('\n')[0] ?? '' }));
  return [{ path, candidates }, ...visible.flatMap((sub) => placesOf(sub, `${path} ${sub.name()}`))];
}

/** One word for a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** fish escapes a quote by a backslash. */
const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

const pathsIn = (places: readonly Place[], quote: (text: string) => string, separator: string): string =>
  places
    .filter(({ path }) => path !== '')
    .map(({ path }) => quote(path))
    .join(separator);

function formatBash(places: readonly Place[]): string {
  const cases = places.map(
    ({ path, candidates }) =>
      `    ${quoted(path)}) words=${quoted(candidates.map(({ word }) => word).join(' '))} ;;`,
  );
  return `# Completion of lockstep for bash: source this, or put it into /etc/bash_completion.d/lockstep
_lockstep() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
      ${pathsIn(places, quoted, '|')}) path="$path $word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _lockstep lockstep
`;
}

function formatZsh(places: readonly Place[]): string {
  const cases = places.map(({ path, candidates }) => {
    const items = candidates.map(({ word, description }) =>
      quoted(`${word.replaceAll(':', '\\:')}:${description.replaceAll(':', '\\:')}`),
    );
    return `    ${quoted(path)}) candidates=(${items.join(' ')}) ;;`;
  });
  return `#compdef lockstep
# Completion of lockstep for zsh: put it as _lockstep into a folder of $fpath
_lockstep() {
  local place='' word
  local -a candidates
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$place $word" in
      (${pathsIn(places, quoted, '|')}) place="$place $word" ;;
    esac
  done
  case "$place" in
${cases.join('\n')}
  esac
  _describe 'lockstep' candidates || _files
}
if [[ "$funcstack[1]" == _lockstep ]]; then _lockstep "$@"; else compdef _lockstep lockstep; fi
`;
}

function formatFish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, candidates }) => {
    const at = `complete -c lockstep -n ${fishQuoted(`__lockstep_at ${fishQuoted(path)}`)}`;
    const words = candidates.map(({ word, description }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${fishQuoted(word)}`;
      return `${at} ${what} -d ${fishQuoted(description)}`;
    });
    // Where a command has to be named, no file can stand.
    return candidates.some(({ word }) => !word.startsWith('--')) ? [`${at} -f`, ...words] : words;
  });
  return `# Completion of lockstep for fish: put it into ~/.config/fish/completions/lockstep.fish
function __lockstep_at
  set -l place ''
  for word in (commandline -opc)[2..-1]
    switch "$place $word"
      case ${pathsIn(places, fishQuoted, ' ')}
        set place "$place $word"
    end
  end
  test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}

export function formatCompletion(program: Command, shell: Shell): string {
  const places = placesOf(program);
  switch (shell) {
    case 'bash':
      return formatBash(places);
    case 'zsh':
      return formatZsh(places);
    case 'fish':
      return formatFish(places);
    default:
      return assertNever(shell);
  }
}
