/** `lockstep doctor`: what it says of what it found, to people and to programs. */
import { LockstepError } from '../../shared/errors.ts';
import { afterwards } from '../backup/commands.ts';
import { exitCodes } from '../cli/outcome.ts';
import { span } from '../cli/render/line.ts';
import type { Terminal } from '../cli/terminal.ts';
import { cutJournal } from './cut.ts';
import { type Checked, examine } from './examine.ts';
import type { Finding } from './finding.ts';
import { forgetHistory } from './forget.ts';

type DoctorOptions = {
  readonly dataFolder: string;
  readonly keyFile: string;
  readonly output?: 'json';
  readonly cut?: number;
  readonly forget?: number;
  /** Of the coordinator, as agents and operators use them. */
  readonly address?: readonly string[];
};

export async function doctor(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const { dataFolder, keyFile, output, cut, forget } = options;
  if (cut !== undefined && forget !== undefined)
    throw new LockstepError('usage', 'choose one of --cut and --forget: `lockstep doctor` says which');
  if (forget !== undefined) {
    const report = await forgetHistory(dataFolder, keyFile, forget);
    if (output !== undefined) terminal.printJson(report);
    else {
      terminal.write(
        `the history in ${dataFolder} begins at seq ${report.from} now; its state is as it was\n`,
      );
      terminal.note(`what was before is in ${report.movedAside}`);
    }
    return exitCodes.done;
  }
  if (cut !== undefined) {
    const report = await cutJournal(dataFolder, keyFile, cut);
    if (output !== undefined) terminal.printJson(report);
    else {
      terminal.write(`the journal in ${dataFolder} ends at seq ${report.seq} now\n`);
      terminal.note(`what was cut is in ${report.movedAside}`);
      terminal.note(afterwards(report.runsHeld, dataFolder));
    }
    return exitCodes.done;
  }
  const addresses = addressesOf(options.address ?? [], process.env.LOCKSTEP_URL);
  const examination = await examine({ dataFolder, keyFile, addresses }, (checked) => {
    if (output === undefined) show(terminal, checked);
  });
  if (output !== undefined) terminal.printJson(examination);
  return examination.checks.some(({ findings }) => findings.length > 0) ? exitCodes.failed : exitCodes.done;
}

/** Those that use TLS; without any given, the one of this environment. */
function addressesOf(given: readonly string[], fallback: string | undefined): readonly string[] {
  for (const address of given)
    if (!URL.canParse(address) || new URL(address).protocol !== 'https:')
      throw new LockstepError(
        'usage',
        `--address ${address}: it is not a URL like https://lockstep.example.org`,
      );
  if (given.length > 0 || fallback === undefined || !URL.canParse(fallback)) return given;
  return new URL(fallback).protocol === 'https:' ? [fallback] : [];
}

function show(terminal: Terminal, { check, findings, notes }: Checked): void {
  const told = notes.length === 0 ? '' : `: ${notes.join('; ')}`;
  terminal.printWhole([
    [
      span(findings.length === 0 ? 'ok    ' : 'mend  ', findings.length === 0 ? 'good' : 'bad'),
      span(check + told),
    ],
    ...findings.flatMap((one) => [
      [span(`      ${placeOf(one)}${one.what}`)],
      [span(`        → ${one.remedy}`)],
    ]),
  ]);
}

function placeOf({ file, byte }: Finding): string {
  if (file === null) return '';
  return byte === null ? `${file}: ` : `${file}, byte ${byte}: `;
}
