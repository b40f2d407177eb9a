/** `lockstep logs`: what jobs wrote, whole lines of one job each, or the bytes as they were for one job. */
import { LockstepError } from '../../../shared/errors.ts';
import { parseAttemptId } from '../../../shared/ids.ts';
import { nearestWord } from '../../../shared/nearest.ts';
import { run as runSchema } from '../../http/resources.ts';
import type { CoordinatorClient } from '../client.ts';
import { readLogs } from '../log-stream.ts';
import { exitCodes } from '../outcome.ts';
import { harmless, type Line, span } from '../render/line.ts';
import { bytesOf, type LogLine, LogLines } from '../render/log-lines.ts';
import type { LogChunk } from '../resources.ts';
import { type CommonOptions, interruption, segment, withCoordinator } from '../session.ts';
import type { Terminal } from '../terminal.ts';

export type LogsOptions = CommonOptions & {
  readonly follow?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly attempt?: number;
  readonly tail?: number;
};

type Selected = {
  readonly run: string;
  readonly step?: string;
  readonly node?: string;
  readonly attempt?: number;
};

/** `r17 configure n1`, or the id of a job or attempt as it stands elsewhere: `r17/configure/n1#2`. */
export function selectLogs(words: readonly string[]): Selected {
  const [first = '', step, node] = words;
  if (!first.includes('/'))
    return { run: first, ...(step === undefined ? {} : { step }), ...(node === undefined ? {} : { node }) };
  const named = parseAttemptId(first.includes('#') ? first : `${first}#1`);
  if (named === undefined)
    throw new LockstepError('usage', `"${first}" names no job: write RUN STEP NODE, or RUN/STEP/NODE`);
  const { run, attempt } = named;
  return { run, step: named.step, node: named.node, ...(first.includes('#') ? { attempt } : {}) };
}

/** A name that the run does not have would else look like a job that wrote nothing, and be followed to the end. */
async function requireNames(client: CoordinatorClient, { run: id, step, node }: Selected): Promise<void> {
  const run = await client.read(runSchema, `/api/runs/${segment(id)}`, { jobs: 'false' });
  const steps = run.units.flatMap((unit) => unit.steps.map((each) => each.id));
  const nodes = new Set(run.units.flatMap((unit) => unit.nodes));
  for (const [what, name, known] of [
    ['step', step, steps],
    ['node', node, nodes],
  ] as const) {
    const names = [...known];
    if (name === undefined || names.includes(name)) continue;
    const nearest = nearestWord(name, names);
    const hint = nearest === undefined ? `see lockstep runs show ${id}` : `did you mean ${nearest}?`;
    throw new LockstepError('not-found', `run ${id} has no ${what} ${name}: ${hint}`);
  }
}

function printLines(terminal: Terminal, lines: readonly LogLine[], withNames: boolean): void {
  const shown = lines.map(({ step, node, attempt, stream, text }): Line => {
    const name = `${step} ${node}${attempt > 1 ? `#${attempt}` : ''}`;
    return [
      ...(withNames ? [span(`${name} │ `, 'dim')] : []),
      span(terminal.interactive ? harmless(text) : text, stream === 'stderr' ? 'warn' : 'plain'),
    ];
  });
  terminal.printWhole(shown);
}

function printBytes(terminal: Terminal, chunk: LogChunk): void {
  if (chunk.gapBytes !== undefined)
    terminal.note(`${chunk.gapBytes} bytes of ${chunk.stream} were cut at ${chunk.offset}`);
  else terminal.writeBytes(bytesOf(chunk));
}

export async function logs(words: readonly string[], options: LogsOptions): Promise<number> {
  const selected = selectLogs(words);
  const stream: LogChunk['stream'] | undefined = options.stderr
    ? 'stderr'
    : options.stdout
      ? 'stdout'
      : undefined;
  const { signal } = interruption();
  return withCoordinator(options, async ({ client, terminal }) => {
    if (options.follow) await requireNames(client, selected);
    const isOneJob = selected.step !== undefined && selected.node !== undefined;
    const lines = new LogLines();
    const all: LogChunk[] = [];
    let count = 0;
    const selection = {
      ...selected,
      attempt: options.attempt ?? selected.attempt,
      stream,
      tailBytes: options.tail,
    };
    for await (const chunk of readLogs(client, selection, options.follow === true, signal)) {
      count += 1;
      if (options.output === 'json') all.push(chunk);
      else if (options.output === 'jsonl') terminal.printJsonLine(chunk);
      else if (isOneJob && !terminal.interactive && !options.follow) printBytes(terminal, chunk);
      else printLines(terminal, lines.push(chunk), !isOneJob);
    }
    if (options.output === 'json') terminal.printJson(all);
    else printLines(terminal, lines.end(), !isOneJob);
    if (signal.aborted) return exitCodes.interrupted;
    if (count === 0) await requireNames(client, selected);
    if (count === 0 && options.output === undefined) terminal.note('nothing was written so far');
    return exitCodes.done;
  });
}
