/**
 * Judges a story when it is over, each promise on its own, from two witnesses: the coordinator's journal, and what
 * the jobs left on disks and in the trace that all hosts wrote together. Every function gives what is wrong, in
 * words; nothing, when all is well.
 */
import * as z from 'zod';
import { emptyState, evolve } from '../../../coordinator/core/engine.ts';
import type { Event } from '../../../coordinator/core/events.ts';
import type { State } from '../../../coordinator/core/state.ts';
import { attemptIdOf, jobIdOf, parseAttemptId } from '../../../shared/ids.ts';
import { dumpState, throughSnapshot } from '../../coordinator/core/dump.ts';
import { Oracle } from '../../coordinator/core/oracle.ts';
import { type PromisedStep, promisedSteps, unavailableMax } from './pipeline.ts';

/** Side effects by attempt number, each with the lines that it left. */
export type Effects = ReadonlyMap<number, readonly string[]>;
export type EffectsOf = (run: string, step: string, node: string) => Effects;

const logLine = z.object({
  attempt: z.string(),
  stream: z.enum(['stdout', 'stderr']),
  offset: z.int(),
  text: z.string().optional(),
  gapBytes: z.int().optional(),
});
export type LogLine = z.infer<typeof logLine>;

/** As the API gives them: as they stand in the journal, but for the time, which is one that people can read. */
export const readEvents = (lines: readonly string[]): Event[] =>
  lines.map((line) => {
    const event = JSON.parse(line);
    return { ...event, at: Date.parse(event.at) };
  });
export const readLog = (lines: readonly string[]): LogLine[] =>
  lines.map((line) => logLine.parse(JSON.parse(line)));

type JobEvent = Extract<Event, { type: 'AttemptEnded' | 'JobDeferred' | 'JobHeld' | 'JobGranted' }>;
const idOf = ({ run, step, node }: Pick<JobEvent, 'run' | 'step' | 'node'>): string =>
  jobIdOf(run, step, node);

/** P1, P2, P5 and P8 by the journal: the judge of the simulated core, put to what real programs wrote. */
export function judgeJournal(events: readonly Event[]): string[] {
  const oracle = new Oracle();
  const wrong: string[] = [];
  for (const event of events) {
    try {
      oracle.check(event);
    } catch (error) {
      wrong.push(`${event.seq}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return wrong;
}

/** The state that the journal gives, and what is wrong with its snapshot. */
export function fold(events: readonly Event[]): { readonly state: State; readonly wrong: string[] } {
  const state = emptyState();
  for (const event of events) evolve(state, event);
  const same = dumpState(throughSnapshot(state)) === dumpState(state);
  return { state, wrong: same ? [] : ['the state is another one when it has gone through a snapshot'] };
}

/** P2 by the disks: what may not be done twice was done once, and no attempt was executed more often than it may. */
export function judgeEffects(events: readonly Event[], effectsOf: EffectsOf): string[] {
  const wrong: string[] = [];
  const granted = new Set(events.flatMap((event) => (event.type === 'JobGranted' ? [idOf(event)] : [])));
  for (const id of granted) {
    const [run = '', step = '', node = ''] = id.split('/');
    const promised = promisedSteps.find((one) => one.id === step);
    if (promised === undefined) continue;
    const effects = [...effectsOf(run, step, node)];
    if (effects.length === 0) wrong.push(`${id} left nothing`);
    if (promised.rerun !== 'idempotent' && effects.length > 1)
      wrong.push(`${id} may not run twice, and did in attempts ${effects.map(([number]) => number).join()}`);
    for (const [number, lines] of effects) {
      const most = promised.executions;
      if (lines.length > most) wrong.push(`${id}#${number} was executed ${lines.length} times, not ${most}`);
      if (lines.some((line) => line !== attemptIdOf(id, number)))
        wrong.push(`${id}#${number} has lines of others`);
    }
  }
  return wrong;
}

type Traced = { readonly step: string; readonly node: string; readonly first: number; readonly last: number };

function jobsOfTrace(trace: readonly string[], run: string): Traced[] {
  const jobs = new Map<string, Traced>();
  for (const [place, line] of trace.entries()) {
    const parsed = parseAttemptId(line.split(' ')[0] ?? '');
    if (parsed?.run !== run) continue;
    const { step, node } = parsed;
    const known = jobs.get(`${step}/${node}`);
    jobs.set(`${step}/${node}`, { step, node, first: known?.first ?? place, last: place });
  }
  return [...jobs.values()];
}

/** P1 by the trace: nothing was begun on a node before the last word of what comes before it. */
export function judgeOrder(events: readonly Event[], trace: readonly string[], run: string): string[] {
  const deferred = new Set(events.flatMap((event) => (event.type === 'JobDeferred' ? [idOf(event)] : [])));
  const jobs = jobsOfTrace(trace, run);
  return promisedSteps.flatMap(({ id, after }) => {
    if (after === null) return [];
    const before = jobs.filter(
      ({ step, node }) => step === after.step && !deferred.has(jobIdOf(run, step, node)),
    );
    return jobs
      .filter(({ step }) => step === id)
      .flatMap((job) =>
        before
          .filter(({ node, last }) => (after.on === 'every node' || node === job.node) && last > job.first)
          .map(({ node }) => `${run}: ${id} began on ${job.node} before ${after.step} had ended on ${node}`),
      );
  });
}

/** P8 by the trace: never more nodes at once inside a rolling unit than may be unavailable. */
export function judgeSlots(trace: readonly string[], run: string): string[] {
  const units = Object.groupBy(
    jobsOfTrace(trace, run).filter(({ step }) => unitOf(step) !== null),
    ({ step }) => unitOf(step) ?? '',
  );
  return Object.entries(units).flatMap(([unit, jobs = []]) => {
    const spans = Object.values(Object.groupBy(jobs, ({ node }) => node)).map((own = []) => ({
      first: Math.min(...own.map(({ first }) => first)),
      last: Math.max(...own.map(({ last }) => last)),
    }));
    const most = Math.max(
      ...spans.map(({ first }) => spans.filter((one) => one.first <= first && first <= one.last).length),
    );
    return most > unavailableMax ? [`${run}: ${most} nodes at once in ${unit}`] : [];
  });
}

const unitOf = (step: string): string | null => promisedSteps.find(({ id }) => id === step)?.unit ?? null;

/** What the script prints in one attempt that was executed so often. */
const printedBy = (attempt: string, executions: number): string =>
  Array.from({ length: executions }, (_, execution) =>
    Array.from({ length: 200 }, (_, line) => `${attempt} ${execution + 1} ${line + 1}\n`).join(''),
  ).join('');

/** P4: each log is as long as its result says, and is what the script printed: all of it, or up to where it was interrupted. */
export function judgeLogs(
  events: readonly Event[],
  log: readonly LogLine[],
  run: string,
  effectsOf: EffectsOf,
): string[] {
  const byAttempt = Map.groupBy(log, ({ attempt }) => attempt);
  return events.flatMap((event) => {
    if (event.type !== 'AttemptEnded' || event.run !== run) return [];
    const promised: PromisedStep | undefined = promisedSteps.find(({ id }) => id === event.step);
    if (promised === undefined) return [];
    const attempt = attemptIdOf(idOf(event), event.attempt);
    const pieces = byAttempt.get(attempt) ?? [];
    const stdout = pieces.filter(({ stream }) => stream === 'stdout');
    const text = stdout.map((piece) => piece.text ?? '').join('');
    const executions = effectsOf(run, event.step, event.node).get(event.attempt)?.length ?? 0;
    const whole = printedBy(attempt, executions);
    const wrong: string[] = [];
    if (pieces.some(({ gapBytes }) => gapBytes !== undefined)) wrong.push('has a gap, though it is short');
    if (text.length !== event.logs.stdout)
      wrong.push(`has ${text.length} bytes of the ${event.logs.stdout} that were announced`);
    if (!whole.startsWith(text)) wrong.push('is not what was printed');
    if (event.outcome !== 'interrupted' && text !== whole)
      wrong.push(`ends early: ${text.length} of ${whole.length} bytes`);
    if (pieces.some(({ stream }) => stream === 'stderr'))
      wrong.push(`has complaints: ${pieces.find(({ stream }) => stream === 'stderr')?.text}`);
    return wrong.map((what) => `the log of ${attempt} (${event.outcome}) ${what}`);
  });
}
