/**
 * `runParts: ./scripts.d`: what Debian's run-parts does with a folder, in plain sh, and told part by part. Which files
 * count is decided when the pipeline is read, so that it is the same on every node and shown beforehand.
 */
import type { Report } from '../report.ts';
import type { Compiled, FileSet, FileStat } from '../scripts.ts';
import type { Path } from '../source.ts';
import { folderOf } from './places.ts';
import { program, quoted, tellingParts } from './shell-text.ts';

/** What editors and packages leave beside a file. */
const leftOver = /^\.|^#|~$|\.(bak|orig|rej|swp|dpkg-[a-z]+|ucf-[a-z]+|rpmnew|rpmsave|rpmorig)$/;

export function compileRunParts(
  text: string,
  path: Path,
  beside: FileSet | undefined,
  report: Report,
): Compiled | undefined {
  const folder = folderOf(text, path, beside, report);
  if (folder === undefined) return undefined;
  // By code units, as `LC_ALL=C ls` has them: no locale of a node changes the order.
  const names = Object.keys(folder.files)
    .filter((name) => !name.includes('/') && !leftOver.test(name))
    .sort();
  for (const name of names) {
    if (folder.files[name]?.executable === true) continue;
    report.warn(
      path,
      `"${folder.path}/${name}" is not executable, so it is not run: chmod +x it if it should`,
    );
  }
  const scripts = names.filter((name) => folder.files[name]?.executable === true);
  if (scripts.length === 0) {
    report.at(path, `there is no executable file in "${folder.path}"`, {
      expected: 'scripts that are run in the order of their names',
    });
    return undefined;
  }
  const files = new Map<string, FileStat>();
  for (const [name, stat] of Object.entries(folder.files)) files.set(`${folder.path}/${name}`, stat);
  return { runner: 'run-parts', run: { shell: ['sh'], text: scriptOf(folder.path, scripts) }, files };
}

function scriptOf(folder: string, scripts: readonly string[]): string {
  return program(
    tellingParts,
    'part() {',
    '  echo "run-parts: $1"',
    '  began=$(now) status=0',
    '  "$1" || status=$?',
    '  took=$((($(now) - began) * 10))',
    '  echo "run-parts: $1: exit status $status after $took ms"',
    '  state=ok',
    '  [ "$status" = 0 ] || state=failed',
    `  tell "{\\"name\\":$2,\\"state\\":\\"$state\\",\\"exitCode\\":$status,\\"durationMs\\":$took}"`,
    '  [ "$status" = 0 ] || exit "$status"',
    '}',
    ...scripts.map((name) => `part ${quoted(`./${folder}/${name}`)} ${quoted(JSON.stringify(name))}`),
  );
}
