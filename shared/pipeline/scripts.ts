/** Scripts of a task: which interpreter runs them, how long a verify may take, and which files they come with. */
import { limits } from '../limits.ts';
import type { BundleManifest } from '../messages.ts';
import { parseDuration } from './duration.ts';
import type { ShellFile } from './language.ts';
import type { ScriptText, Task } from './model.ts';
import type { TaskFile } from './module-language.ts';
import type { Report } from './report.ts';
import { asList, entryPath } from './roles.ts';
import type { Path } from './source.ts';
import type { VerifyFile } from './strategy-language.ts';

export type FileStat = { readonly digest: string; readonly sizeBytes: number; readonly executable: boolean };

/** What lies beside a file. Paths are relative to its folder, with `/`, without `.` and `..`. */
export type FileSet = {
  find(path: string):
    | ({ readonly kind: 'file' } & FileStat)
    /** All files below, by their path inside the folder. */
    | { readonly kind: 'folder'; readonly files: Readonly<Record<string, FileStat>> }
    | undefined;
  /** `sha256:…` of the UTF-8 bytes of a text: how a manifest gets its name. */
  digest(text: string): string;
};

/** What has to be stored before jobs of the file can run. */
export type Bundles = {
  /** Texts of manifests by their digest. */
  readonly manifests: Map<string, string>;
  /** Files by their path beside the file that was read. */
  readonly files: Map<string, FileStat>;
};

/** What carries out a step instead of a script of its own, as the script that it comes to (see runners/). */
export type Compiled = {
  /** As agents know it. */
  readonly runner: string;
  readonly run: ScriptText;
  /** What `run --check` runs where the step has no check of its own: 0 nothing would change, 1 something would. */
  readonly preview?: ScriptText;
  /** By path beside the file. */
  readonly files: ReadonlyMap<string, FileStat>;
};

/** Options with which shells stop at the first failure, which is what a step means by a script. */
const shellOptions: Readonly<Record<string, readonly string[]>> = {
  sh: ['-e'],
  dash: ['-e'],
  ash: ['-e'],
  bash: ['-eo', 'pipefail'],
  ksh: ['-eo', 'pipefail'],
  zsh: ['-eo', 'pipefail'],
};

function shellOf(shell: ShellFile | undefined): readonly string[] {
  const [program = 'sh', ...options] = typeof shell === 'string' ? shell.trim().split(/\s+/) : (shell ?? []);
  if (options.length > 0) return [program, ...options];
  const name = program.split('/').at(-1) ?? program;
  return [
    program,
    ...(typeof shell === 'object' || !Object.hasOwn(shellOptions, name) ? [] : (shellOptions[name] ?? [])),
  ];
}

function verifyOf(file: VerifyFile, shell: readonly string[]): NonNullable<Task['verify']> {
  const { run, every, timeout } =
    typeof file === 'string' ? { run: file } : { every: undefined, timeout: undefined, ...file };
  return {
    script: { shell, text: run },
    everyMs: every === undefined ? limits.untilEveryDefaultMs : (parseDuration(every) ?? 0),
    timeoutMs: timeout === undefined ? limits.verifyTimeoutDefaultMs : (parseDuration(timeout) ?? 0),
  };
}

export type Scripts = Pick<Task, 'check' | 'run' | 'preview' | 'verify' | 'bundle' | 'runner'>;

type ScriptFile = Pick<TaskFile, 'check' | 'run' | 'verify' | 'shell' | 'files' | 'container'>;

/** Check, run, verify and the files they come with. */
export function readScripts(
  file: ScriptFile,
  path: Path,
  beside: FileSet | undefined,
  bundles: Bundles,
  report: Report,
  compiled?: Compiled,
): Scripts {
  const shell = shellOf(file.shell);
  const script = (text: string): ScriptText => ({ shell, text });
  const bundle = readFiles(file, path, beside, bundles, report, compiled?.files ?? new Map());
  return {
    ...(file.check === undefined ? {} : { check: script(file.check) }),
    ...(file.run === undefined ? {} : { run: script(file.run) }),
    ...runnerOf(compiled),
    ...(file.verify === undefined ? {} : { verify: verifyOf(file.verify, shell) }),
    ...(bundle === undefined ? {} : { bundle }),
  };
}

const runnerOf = (compiled: Compiled | undefined): Pick<Task, 'run' | 'preview' | 'runner'> =>
  compiled === undefined
    ? {}
    : {
        run: compiled.run,
        runner: compiled.runner,
        ...(compiled.preview === undefined ? {} : { preview: compiled.preview }),
      };

/** Without `./` before and `/` after it. */
export const cleanPath = (name: string): string => name.replace(/^(\.\/)+/, '').replace(/\/+$/, '');

export const isInside = (path: string): boolean =>
  !path.startsWith('/') &&
  !path.includes('\\') &&
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

function readFiles(
  file: ScriptFile,
  path: Path,
  beside: FileSet | undefined,
  bundles: Bundles,
  report: Report,
  brought: ReadonlyMap<string, FileStat>,
): string | undefined {
  const found = new Map<string, FileStat>(brought);
  for (const [index, name] of asList(file.files).entries()) {
    const at = entryPath([...path, 'files'], file.files, index);
    const clean = cleanPath(name);
    if (!isInside(clean)) {
      report.at(at, `"${name}" is not beside this file`, {
        expected: 'a path inside the folder of this file',
      });
      continue;
    }
    const entry = beside?.find(clean);
    if (entry === undefined) report.at(at, `there is no file or folder "${clean}" beside this file`);
    else if (entry.kind === 'file') found.set(clean, entry);
    else for (const [inside, stat] of Object.entries(entry.files)) found.set(`${clean}/${inside}`, stat);
  }
  const texts = {
    check: file.check,
    run: file.run,
    verify: typeof file.verify === 'string' ? file.verify : file.verify?.run,
    container: typeof file.container === 'object' ? file.container.run : undefined,
  };
  for (const [key, text] of Object.entries(texts)) {
    if (text === undefined) continue;
    const template = text.indexOf('${{');
    if (template !== -1) {
      report.warnText(
        [
          ...path,
          key,
          ...(key === 'container' || (key === 'verify' && typeof file.verify === 'object') ? ['run'] : []),
        ],
        template,
        'scripts are not filled in: this reaches the interpreter as it stands',
        {
          expected: 'the value in "with", read as $PARAM_NAME',
        },
      );
    }
    for (const { name, first } of namedFiles(text)) {
      const entry = beside?.find(name);
      if (entry?.kind === 'file') found.set(name, entry);
      else if (first && beside !== undefined)
        report.warn(
          [...path, key],
          `"./${name}" is not beside this file: the script must bring it by itself`,
        );
    }
  }
  if (found.size === 0 || beside === undefined) return undefined;
  const manifest: BundleManifest = {
    files: [...found].sort(byPath).map(([name, stat]) => ({ path: name, ...statOf(stat) })),
  };
  const bytes = manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (manifest.files.length > limits.bundleFilesMax) {
    report.at(path, `this comes with ${manifest.files.length} files`, {
      expected: `at most ${limits.bundleFilesMax}`,
    });
  }
  if (bytes > limits.bundleBytesMax) {
    report.at(path, `the files of this have ${bytes} bytes`, {
      expected: `at most ${limits.bundleBytesMax}`,
    });
  }
  const text = JSON.stringify(manifest);
  const digest = beside.digest(text);
  bundles.manifests.set(digest, text);
  for (const [name, stat] of found) bundles.files.set(name, statOf(stat));
  return digest;
}

const statOf = ({ digest, sizeBytes, executable }: FileStat): FileStat => ({ digest, sizeBytes, executable });

const byPath = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

/** Words such as `./configure.sh` in a script; `first` when the script begins with it. */
function namedFiles(text: string): readonly { readonly name: string; readonly first: boolean }[] {
  const names: { name: string; first: boolean }[] = [];
  for (const match of text.matchAll(/(?<=^|[\s;&|("'`=])\.\/([A-Za-z0-9_][A-Za-z0-9_./@+-]*)/gm)) {
    const name = (match[1] ?? '').replace(/[.,:;]+$/, '');
    if (isInside(name)) names.push({ name, first: text.slice(0, match.index).trim() === '' });
  }
  return names;
}
