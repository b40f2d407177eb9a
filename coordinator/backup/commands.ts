/** `lockstep backup` and `lockstep restore`: what they say of what was done, to people and to programs. */
import path from 'node:path';
import { exitCodes } from '../cli/outcome.ts';
import { formatBytes } from '../cli/render/measures.ts';
import type { Terminal } from '../cli/terminal.ts';
import { takeBackup } from './backup.ts';
import { restoreBackup } from './restore.ts';

type Common = {
  readonly dataFolder: string;
  readonly keyFile: string;
  readonly output?: 'json';
};

type BackupOptions = Common & {
  readonly version: string;
  readonly to?: string;
  readonly withoutLogs?: boolean;
  readonly withKey?: boolean;
};

export async function backUp(options: BackupOptions, terminal: Terminal): Promise<number> {
  const { dataFolder, keyFile, version } = options;
  const name = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const report = await takeBackup({
    dataFolder,
    version,
    to: path.resolve(options.to ?? path.join(`${dataFolder}.backups`, name)),
    withLogs: options.withoutLogs !== true,
    keyFile: options.withKey === true ? keyFile : null,
    onProgress: ({ files, of, bytes }) =>
      showProgress(terminal, `${files} of ${of} files, ${formatBytes(bytes)}`),
  });
  endProgress(terminal);
  if (options.output !== undefined) {
    terminal.printJson(report);
    return exitCodes.done;
  }
  terminal.write(`${report.backup}\n`);
  for (const place of report.swept) terminal.note(`removed ${place}, which an interrupted backup had left`);
  terminal.note(`the state at seq ${report.seq}: ${report.files} files, ${formatBytes(report.bytes)}`);
  terminal.note(
    report.withKey
      ? 'the key of the secrets is in it: whoever can read the backup can read them'
      : `the key of the secrets is not in it: keep ${keyFile} elsewhere, without it they cannot be read`,
  );
  return exitCodes.done;
}

type RestoreOptions = Common & { readonly replace?: boolean };

export async function restore(backup: string, options: RestoreOptions, terminal: Terminal): Promise<number> {
  const { dataFolder, keyFile } = options;
  const report = await restoreBackup({
    backup,
    dataFolder,
    keyFile,
    replace: options.replace === true,
    onProgress: (what, done, of) => showProgress(terminal, `${what} ${done} of ${of} files`),
  });
  endProgress(terminal);
  if (options.output !== undefined) {
    terminal.printJson(report);
    return exitCodes.done;
  }
  terminal.write(`${report.dataFolder} is as it was at ${report.takenAt} (seq ${report.seq})\n`);
  if (report.movedAside !== null) terminal.note(`what was there is now in ${report.movedAside}`);
  if (!report.hasKey)
    terminal.note(
      `the key of the secrets is missing: put it into ${keyFile} before you start the coordinator`,
    );
  terminal.note(afterwards(report.runsHeld, dataFolder));
  return exitCodes.done;
}

/** What begins a new lineage has the same consequences, however it came to it. */
export function afterwards(runsHeld: readonly string[], dataFolder: string): string {
  const next = `start it with \`lockstep coordinator --data ${dataFolder}\`, and never again on the data before`;
  if (runsHeld.length === 0) return `no run was unfinished; ${next}`;
  return [
    next,
    `held until you say how they go on: ${runsHeld.join(', ')}. Nodes may have done more than this data knows:`,
    'when they are connected, see `lockstep why RUN`, then say `lockstep resume RUN`, with --as-reported to believe them',
  ].join('\n');
}

function showProgress(terminal: Terminal, text: string): void {
  if (process.stderr.isTTY && terminal.interactive) process.stderr.write(`\r\x1b[K${text}`);
}

function endProgress(terminal: Terminal): void {
  if (process.stderr.isTTY && terminal.interactive) process.stderr.write('\r\x1b[K');
}
