/**
 * A run as rows to draw: one per step, a heading per group, with what each node does there. Which rows fit
 * on a terminal and where they stand there is run-picture.ts's.
 */
import type { Explanation, Job, JobState, Run, Unit } from '../resources.ts';
import { type Line, span } from './line.ts';
import { formatDuration, inLocalTime } from './measures.ts';
import { byName, foldNames } from './node-names.ts';

export type Row = {
  /** 0 for a step or the heading of a group, 1 for a step in a group. */
  readonly depth: 0 | 1;
  readonly label: string;
  /** What stands for the row as a whole. */
  readonly state: JobState;
  readonly done: number;
  readonly total: number;
  /** Job states by node; null on the heading of a group. */
  readonly cells: ReadonlyMap<string, JobState> | null;
  readonly counts: ReadonlyMap<JobState, number>;
  readonly elapsedMs: number | null;
  readonly note: Line;
};

const finishedStates: readonly JobState[] = ['succeeded', 'failed', 'skipped', 'cancelled', 'deferred'];
export const isFinished = (state: JobState): boolean => finishedStates.includes(state);

function countStates(jobs: readonly Job[]): Map<JobState, number> {
  const counts = new Map<JobState, number>();
  for (const { state } of jobs) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

/** The state that matters most to somebody who looks: trouble before work before rest. */
function summarise(counts: ReadonlyMap<JobState, number>): JobState {
  const first = (['failed', 'held', 'unknown', 'running', 'granted'] as const).find((state) =>
    counts.has(state),
  );
  if (first !== undefined) return first;
  const present = [...counts.keys()];
  if (present.length > 0 && present.every(isFinished))
    return (['succeeded', 'deferred', 'cancelled'] as const).find((state) => counts.has(state)) ?? 'skipped';
  return present.some((state) => isFinished(state) || state === 'ready') ? 'ready' : 'waiting';
}

/** From the first start to the last end, or to now while something is left to do. */
function elapsed(jobs: readonly Job[], now: number): number | null {
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  let isOpen = false;
  for (const { state, startedAt, finishedAt } of jobs) {
    if (startedAt !== null) start = Math.min(start, Date.parse(startedAt));
    if (finishedAt !== null) end = Math.max(end, Date.parse(finishedAt));
    if (!isFinished(state)) isOpen = true;
  }
  if (start === Number.POSITIVE_INFINITY) return null;
  return Math.max(0, (isOpen || end < start ? now : end) - start);
}

const troubles: readonly { readonly state: JobState; readonly style: 'bad' | 'warn' | 'dim' }[] = [
  { state: 'failed', style: 'bad' },
  { state: 'held', style: 'warn' },
  { state: 'unknown', style: 'warn' },
  { state: 'deferred', style: 'warn' },
  { state: 'cancelled', style: 'dim' },
  { state: 'skipped', style: 'dim' },
];

const joinNotes = (notes: readonly Line[]): Line =>
  notes.flatMap((note, index) => (index === 0 ? note : [span(', '), ...note]));

type Iteration = NonNullable<Job['iteration']>;

/** Of the jobs that repeat an execution the one that is furthest. */
export function furthestIteration(
  jobs: readonly Job[],
): { readonly node: string; readonly iteration: Iteration } | undefined {
  let furthest: { node: string; iteration: Iteration } | undefined;
  for (const { node, iteration } of jobs)
    if (iteration !== undefined && iteration.number > (furthest?.iteration.number ?? 0))
      furthest = { node, iteration };
  return furthest;
}

export function describeIteration({ phase, number, exitCode, signal }: Iteration): string {
  const how = signal === null ? `exit ${exitCode}` : `ended by ${signal}`;
  return `${phase === 'verify' ? 'verify' : 'iteration'} ${number}: ${how}, goes on`;
}

/** Jobs that go on where nobody hears of them, the ones that are away longest first. */
function awayNote(jobs: readonly Job[], now: number): Line | undefined {
  const away = new Map<string, number>();
  for (const { node, executor, awaySince } of jobs)
    if (awaySince !== undefined) away.set(executor ?? node, Date.parse(awaySince));
  if (away.size === 0) return undefined;
  const ago = formatDuration(now - Math.min(...away.values()));
  const names = foldNames([...away.keys()]);
  const [its, job] = away.size === 1 ? ['its', 'job goes'] : ['their', 'jobs go'];
  return [span(`${names} lost ${its} link ${ago} ago, ${its} ${job} on`, 'warn')];
}

function stepNote(jobs: readonly Job[], counts: ReadonlyMap<JobState, number>, now: number): Line {
  const notes: Line[] = troubles
    .filter(({ state }) => counts.has(state))
    .map(({ state, style }) => [span(`${counts.get(state)} ${state}`, style)]);
  const again = jobs.filter(({ state, attempt }) => attempt > 1 && !isFinished(state));
  if (again.length > 0) {
    const most = Math.max(...again.map(({ attempt }) => attempt));
    notes.push([span(`attempt ${most} on ${foldNames(again.map(({ node }) => node))}`, 'warn')]);
  }
  const away = awayNote(jobs, now);
  if (away !== undefined) notes.push(away);
  const furthest = furthestIteration(jobs);
  if (furthest !== undefined)
    notes.push([span(`${furthest.node} ${describeIteration(furthest.iteration)}`, 'dim')]);
  return joinNotes(notes);
}

/** Approval, wave and slots of a unit, as far as there are any. */
function unitNote(unit: Unit, state: JobState): Line {
  const notes: Line[] = [];
  const { approval, slots, wave, waves } = unit;
  if (approval.state === 'requested')
    notes.push([span(`waits for approval: ${approval.text ?? unit.id}`, 'warn')]);
  if (unit.strategy === 'rolling' && !isFinished(state)) {
    if (waves > 1) notes.push([span(wave === 0 ? `${waves} waves` : `wave ${wave} of ${waves}`)]);
    if (slots.length > 0)
      notes.push([
        span(`${slots.length === 1 ? 'slot' : 'slots'} ${foldNames(slots.map(({ node }) => node))}`, 'busy'),
      ]);
    else if (unit.kind === 'group' && notes.length === 0) notes.push([span('rolling', 'dim')]);
  }
  return joinNotes(notes);
}

const cellsOf = (jobs: readonly Job[]): Map<string, JobState> =>
  new Map(jobs.map(({ node, state }) => [node, state]));

export function rowsOf(run: Run, now: number): Row[] {
  const jobsOf = new Map<string, Job[]>();
  for (const job of run.jobs ?? []) {
    const list = jobsOf.get(job.step);
    if (list === undefined) jobsOf.set(job.step, [job]);
    else list.push(job);
  }
  const rows: Row[] = [];
  for (const unit of run.units) {
    const all = unit.steps.flatMap(({ id }) => jobsOf.get(id) ?? []);
    const unitCounts = countStates(all);
    const note = unitNote(unit, summarise(unitCounts));
    if (unit.kind === 'group') {
      const open = new Set(all.filter(({ state }) => !isFinished(state)).map(({ node }) => node));
      rows.push({
        depth: 0,
        label: unit.id,
        state: summarise(unitCounts),
        done: unit.nodes.filter((node) => !open.has(node)).length,
        total: unit.nodes.length,
        cells: null,
        counts: unitCounts,
        elapsedMs: elapsed(all, now),
        note,
      });
    }
    for (const { id, part = null } of unit.steps) {
      const jobs = jobsOf.get(id) ?? [];
      const counts = countStates(jobs);
      const notes = [stepNote(jobs, counts, now), unit.kind === 'step' && part === null ? note : []].filter(
        (part) => part.length > 0,
      );
      rows.push({
        depth: unit.kind === 'group' || part !== null ? 1 : 0,
        label: part === null ? id : `${id} (${part})`,
        state: summarise(counts),
        done: jobs.filter(({ state }) => isFinished(state)).length,
        total: jobs.length,
        cells: cellsOf(jobs),
        counts,
        elapsedMs: elapsed(jobs, now),
        note: joinNotes(notes),
      });
    }
  }
  return rows;
}

/** All nodes that have to do with the run, in the order that people count in. */
export function nodesOf(run: Run): string[] {
  const names = new Set<string>();
  for (const { nodes } of run.units) for (const node of nodes) names.add(node);
  for (const { node } of run.jobs ?? []) names.add(node);
  return [...names].sort(byName);
}

/** Jobs in trouble that came to it in the same way, as one. */
export type Trouble = {
  readonly state: JobState;
  readonly step: string;
  readonly nodes: readonly string[];
  /** The one whose log is shown. */
  readonly job: Job;
  readonly sentence: string;
};

export function howItEnded({ exitCode, signal, reason, outcome, attempt }: Job): string {
  const parts: string[] = [];
  if (reason !== null && reason !== '') parts.push(reason);
  else if (signal !== null) parts.push(`ended by ${signal}`);
  else if (exitCode !== null) parts.push(`exit ${exitCode}`);
  else if (outcome !== null) parts.push(outcome);
  if (attempt > 1) parts.push(`attempt ${attempt}`);
  return parts.join(', ');
}

/** What went wrong or needs somebody, most pressing first, equal ones folded. */
export function troublesOf(run: Run): Trouble[] {
  const found = new Map<string, { readonly jobs: Job[]; readonly how: string }>();
  for (const job of run.jobs ?? []) {
    if (job.state !== 'failed' && job.state !== 'held' && job.state !== 'unknown') continue;
    const how = howItEnded(job);
    const key = `${job.state}\0${job.step}\0${how}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { jobs: [job], how });
    else known.jobs.push(job);
  }
  const order: readonly JobState[] = ['failed', 'held', 'unknown'];
  return [...found.values()]
    .flatMap(({ jobs, how }) => {
      const [job] = jobs;
      if (job === undefined) return [];
      const nodes = jobs.map(({ node }) => node);
      const sentence = `${job.step} on ${foldNames(nodes)} ${job.state === 'unknown' ? 'has lost contact' : `is ${job.state}`.replace('is failed', 'failed')}${how === '' ? '' : `: ${how}`}`;
      return [{ state: job.state, step: job.step, nodes, job, sentence }];
    })
    .sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

/** Gates from the most pressing on; those that are not named come after them. */
const pressing = [
  'decision',
  'approval',
  'hold',
  'failure',
  'cancel',
  'budget',
  'contact',
  'nodes',
  'queue',
  'node',
];
const rankOf = (gate: string): number => (pressing.includes(gate) ? pressing.indexOf(gate) : pressing.length);
/** The order of steps, which the picture shows by itself. */
const orderGates: readonly string[] = ['need', 'barrier', 'order'];
/** Sentences of these are about the node itself. */
const nodeGates: readonly string[] = ['contact', 'node', 'credit'];

/** The text with a mark where it names the node: what is said of many nodes alike is said once. */
const unnamed = (text: string, node: string): string =>
  text.replace(new RegExp(`(?<![a-z0-9.-])${node.replaceAll('.', '\\.')}(?![a-z0-9-])`, 'g'), nodeMark);
const nodeMark = '\0';

type Reason = {
  readonly gate: string;
  readonly text: string;
  /** Null when it is the whole run's. */
  readonly step: string | null;
  readonly nodes: string[];
};

function reasonOf({ gate, sentence: told, job, node }: Explanation): Reason {
  const sentence = inLocalTime(told);
  const own = job !== null && sentence.startsWith(`${job} `) ? sentence.slice(job.length + 1) : sentence;
  const ofRun = /^waits: (run .*)$/.exec(own)?.[1] ?? (job === null ? own : undefined);
  if (ofRun !== undefined) return { gate, text: ofRun, step: null, nodes: [] };
  const text = node !== null && nodeGates.includes(gate) ? unnamed(own, node) : own;
  return { gate, text, step: job?.split('/')[1] ?? null, nodes: [] };
}

/**
 * What is waited for, without what is at work, the most pressing first; the mere order of steps only when
 * there is nothing else, and then the next one. A reason that many jobs share stands once: as that of the
 * run, or as `step on n[1-3] waits for …`.
 */
export function waitingLines(explanations: readonly Explanation[]): string[] {
  const reasons = new Map<string, Reason>();
  for (const explanation of explanations) {
    if (explanation.state === 'running' || explanation.state === 'granted') continue;
    const reason = reasonOf(explanation);
    const key = `${reason.step}\0${reason.text}`;
    const known = reasons.get(key) ?? reason;
    if (explanation.node !== null) known.nodes.push(explanation.node);
    reasons.set(key, known);
  }
  const all = [...reasons.values()];
  const others = all.filter(({ gate }) => !orderGates.includes(gate));
  return (others.length > 0 ? others : all.slice(0, 1))
    .sort((a, b) => rankOf(a.gate) - rankOf(b.gate))
    .map(({ text, step, nodes }) => {
      if (step === null) return text;
      const named = text.replaceAll(nodeMark, nodes.length === 1 ? (nodes[0] ?? '') : 'it');
      return `${step} on ${foldNames(nodes)} ${named}`;
    });
}
