/** Runs and plans as the API answers them, from a few words, for tests of what is drawn of them. */

import type { Explanation, Job, JobState, Run } from '../../../coordinator/cli/resources.ts';
import { run as runSchema } from '../../../coordinator/http/resources.ts';

export const start = Date.parse('2026-03-01T12:00:00.000Z');
export const at = (seconds: number): string => new Date(start + seconds * 1_000).toISOString();

const letters: Readonly<Record<string, JobState>> = {
  '.': 'waiting',
  o: 'ready',
  g: 'granted',
  '*': 'running',
  '+': 'succeeded',
  x: 'failed',
  '-': 'skipped',
  '/': 'cancelled',
  '?': 'unknown',
  '!': 'held',
};

type UnitSample = {
  readonly group?: string;
  readonly rolling?: boolean;
  readonly slots?: readonly string[];
  readonly wave?: readonly [number, number];
  readonly approve?: string;
  /** Step → one letter per node, a blank for none: `{ install: '++*.' }`. */
  readonly steps: Readonly<Record<string, string>>;
};

const nodeName = (index: number): string => `n${index + 1}`;

function jobsOf(run: string, step: string, states: string, more: Partial<Job>): Job[] {
  return [...states].flatMap((letter, index) => {
    const state = letters[letter];
    if (state === undefined) return [];
    const isOver = ['succeeded', 'failed', 'cancelled', 'skipped'].includes(state);
    const hasRun = state !== 'waiting' && state !== 'ready' && state !== 'skipped' && state !== 'cancelled';
    return [
      {
        id: `${run}/${step}/${nodeName(index)}`,
        step,
        node: nodeName(index),
        executor: null,
        state,
        attempt: hasRun ? 1 : 0,
        exitCode: state === 'succeeded' ? 0 : state === 'failed' ? 3 : null,
        startedAt: hasRun ? at(index) : null,
        finishedAt: isOver ? at(index + 2) : null,
        outputs: {},
        since: at(index),
        outcome: state === 'succeeded' || state === 'failed' ? state : null,
        unchanged: false,
        signal: null,
        reason: null,
        durationMs: isOver ? 2_000 : null,
        ...(state === 'failed' || state === 'held' || state === 'running' ? more : {}),
      },
    ];
  });
}

export function sampleRun(
  units: readonly UnitSample[],
  more: Partial<Run> = {},
  troubled: Partial<Job> = {},
): Run {
  const id = more.id ?? 'r3';
  const jobs: Job[] = [];
  const counts: Partial<Record<JobState, number>> = {};
  const shown = units.map(({ group, rolling, slots = [], wave, approve, steps }): Run['units'][number] => {
    const own = Object.entries(steps).flatMap(([step, states]) => jobsOf(id, step, states, troubled));
    jobs.push(...own);
    const ids = Object.keys(steps);
    return {
      id: group ?? ids[0] ?? '',
      kind: group === undefined ? 'step' : 'group',
      title: null,
      strategy: rolling ? 'rolling' : 'parallel',
      steps: ids.map((step) => ({ id: step, title: null, needs: [] })),
      nodes: [...new Set(own.map(({ node }) => node))],
      approval: {
        state: approve === undefined ? 'none' : 'requested',
        text: approve ?? null,
        by: null,
        at: null,
      },
      slots: slots.map((node) => ({ node, since: at(1) })),
      wave: wave?.[0] ?? 1,
      waves: wave?.[1] ?? 1,
    };
  });
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) + 1;
  return runSchema.parse({
    id,
    pipeline: 'first-steps',
    title: null,
    cluster: 'default',
    state: 'running',
    seq: 40,
    by: 'operator:admin',
    createdAt: at(0),
    startedAt: at(0),
    finishedAt: null,
    reason: null,
    counts,
    digest: `sha256:${'0'.repeat(64)}`,
    checkOnly: false,
    params: {},
    roles: {},
    units: shown,
    out: {},
    jobs,
    ...more,
  });
}

export const explanation = (job: string, gate: string, text: string, state = 'waiting'): Explanation => ({
  job,
  run: job.split('/')[0] ?? null,
  node: job.split('/')[2] ?? null,
  state,
  gate,
  sentence: `${job} ${text}`,
  since: at(0),
});
