/**
 * What a restore from a backup means for runs. The nodes may have done more than the backup knows, and nothing
 * of it may be done twice. So every unfinished run is held; each node tells, when it connects for the first
 * time in the new lineage and before it can be granted anything, what it holds and what it finished; jobs that
 * it speaks of are held until an operator decides them, and what it has that both histories know simply counts.
 * Attempts are numbered anew, so that no result of the lost part can pass for one of the new (P2, P7).
 */
import { parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { Hello, Origin, Outcome } from '../../shared/messages.ts';
import type { Command } from './commands.ts';
import { isOver, lookAtEverything } from './derive.ts';
import { findJob } from './evolve-jobs.ts';
import { idOf, namesOf } from './job-names.ts';
import type { Disclosure } from './job-state.ts';
import { isLive } from './job-state.ts';
import { type Fence, isOfLostRun } from './reign.ts';
import type { Job, Node, Run, State, StepState } from './state.ts';
import type { Turn } from './turn.ts';

export function beginReign(turn: Turn, command: Extract<Command, { type: 'BeginReign' }>): void {
  const { lineage, seq, at, activeRuns } = turn.state;
  const restored = lineage !== '' && lineage !== command.lineage;
  turn.emit({
    ...command,
    type: 'ReignBegan',
    ...(restored ? { continues: { lineage, seq, at } } : {}),
  });
  lookAtEverything(turn.state);
  if (!restored) return;
  const what = `the coordinator's data was put back as it was at ${new Date(at).toISOString()} (seq ${seq}), and what nodes have done since then is theirs to tell`;
  for (const run of activeRuns.values()) {
    if (run.cancel !== null) continue;
    const before = run.hold?.needs === 'decision' && run.hold.restored === undefined ? run.hold.reason : '';
    const reason = before === '' ? what : `${before}; and ${what}`;
    turn.emit({ type: 'RunHeld', run: run.id, needs: 'decision', reason, restored: command.lineage });
  }
}

/** Another coordinator goes on where this one has been: this one grants nothing more. */
export function yieldTo(turn: Turn, command: Extract<Command, { type: 'ReportNewerReign' }>): void {
  const { state } = turn;
  const { node, lineage, epoch, begunAt } = command;
  if (lineage === state.lineage && epoch <= state.epoch) return;
  // The latest restore that anybody knows of is what a further one has to come after.
  if (state.fence !== null && (begunAt ?? 0) <= (state.fence.begunAt ?? 0)) return;
  turn.emit({ type: 'ReignFenced', node, lineage, epoch, ...(begunAt === undefined ? {} : { begunAt }) });
}

export const describeFence = ({ node, lineage, epoch }: Fence): string =>
  `this coordinator has been replaced: ${node} has seen epoch ${epoch} of lineage ${lineage}. It grants nothing any more. Stop it; or, if it is the one that should go on, back it up and restore that, which begins a newer lineage`;

/** What a challenge tells agents of a lineage that began with a restore. */
export function originOf({ restoration, activeRuns }: State): Origin | undefined {
  if (restoration === null) return undefined;
  const { ancestors, begunAt, runsFrom } = restoration;
  const runs = [...activeRuns.keys()].filter((run) => numberOf(run) < runsFrom);
  return { ancestors: [...ancestors], begunAt, runs, runsFrom };
}

const numberOf = (run: string): number => Number(run.slice(1));

/** The number of the next attempt of a job. */
export const nextAttempt = ({ restoration }: State, job: Job): number =>
  Math.max(job.attempt, restoration?.attemptsFrom ?? 0) + 1;

/** Which attempt it was of those that its lineage has made of the job. */
export const attemptInLineage = (attempt: number): number =>
  ((attempt - 1) % limits.attemptsPerLineageMax) + 1;

/** Whether a grant of so many attempts would use numbers that a later restore begins with. */
export const isSpent = (state: State, job: Job, attemptsMax: number): boolean =>
  nextAttempt(state, job) + attemptsMax - 1 >
  (state.restoration?.attemptsFrom ?? 0) + limits.attemptsPerLineageMax;

/** Whether the attempt is one of those that the job's live grant allows. */
export const isGranted = (job: Job, attempt: number): boolean =>
  isLive(job.state) &&
  attempt >= job.attempt &&
  job.grant !== null &&
  attempt < job.grant.attempt + job.grant.attemptsMax;

/** Whether an attempt that is not this history's may go on where it is, because nobody has decided about it yet. */
export function isUndecided(state: State, attempt: string): boolean {
  const name = parseAttemptId(attempt);
  if (state.restoration === null || name === undefined) return false;
  const job = findJob(state, name.run, name.step, name.node);
  if (job !== undefined && numberOf(name.run) < state.restoration.runsFrom)
    return job.state === 'held' && job.disclosed !== null && job.disclosed.attempt === name.attempt;
  // Of a run that is lost there is nothing that could be decided: it ends by itself.
  return isOfLostRun(state.restoration, name);
}

/** Hears what a node did that this lineage does not know; `silence` says why it cannot be all. */
export function takeAccount(turn: Turn, node: Node, hello: Hello, lostItsState: boolean): void {
  if (turn.state.restoration === null) return;
  const told: Told[] = [
    ...(hello.remembered?.attempts ?? []).map((one) => ({ ...one, state: 'ended' as const })),
    ...hello.held.map((one) => ({ ...one, outcome: null })),
  ];
  const newest = new Map<string, Told>();
  for (const one of told) {
    const name = parseAttemptId(one.attempt);
    // What never began, and never will, is no more than a number.
    if (name === undefined || one.outcome === 'not-started') continue;
    // It may have done something for another node.
    const told = findJob(turn.state, name.run, name.step, name.node);
    if (name.node !== node.name && told !== undefined && told.step.step.runOn === undefined) continue;
    if (isKnown(turn.state, one.attempt)) continue;
    const before = parseAttemptId(newest.get(name.job)?.attempt ?? '');
    if (before === undefined || before.attempt <= name.attempt) newest.set(name.job, one);
  }
  const segment = [...node.segment];
  for (const one of newest.values()) disclose(turn, one);
  holdBehind(turn, segment, new Set(told.map(({ attempt }) => parseAttemptId(attempt)?.job)));
  const silence = lostItsState
    ? 'it came back without its state'
    : hello.remembered === undefined
      ? `its agent (${node.version}) is too old to tell`
      : hello.remembered.oldest !== null && !isKnown(turn.state, hello.remembered.oldest)
        ? 'it has done so much that it has forgotten the beginning'
        : undefined;
  if (silence !== undefined) holdJobs(turn, node, silence);
}

/** What was granted to follow a job that went another way must not begin, unless the node knows better. */
function holdBehind(turn: Turn, segment: readonly Job[], told: ReadonlySet<string | undefined>): void {
  const first = segment.findIndex((job) => !isLive(job.state));
  if (first === -1) return;
  for (const job of segment.slice(first)) {
    if (!isLive(job.state) || told.has(idOf(job))) continue;
    const reason = `it was granted to follow a job that ${job.member.node.name} did otherwise after the backup that was restored`;
    turn.emit({ type: 'JobHeld', ...namesOf(job), reason });
  }
}

type Told = {
  readonly attempt: string;
  readonly state: Disclosure['state'];
  readonly outcome: Outcome | null;
};

/** Whether the journal has the end of the attempt, or has granted it and waits for that. */
function isKnown(state: State, attempt: string): boolean {
  const name = parseAttemptId(attempt);
  if (name === undefined || state.archive.has(name.run)) return true;
  const job = findJob(state, name.run, name.step, name.node);
  return job !== undefined && (name.attempt <= job.endedAttempt || isGranted(job, name.attempt));
}

function disclose(turn: Turn, { attempt, state, outcome }: Told): void {
  const name = parseAttemptId(attempt);
  if (name === undefined) return;
  const { run, step, node } = name;
  const job = findJob(turn.state, run, step, node);
  if (job !== undefined && (job.run.end !== null || isOver(job))) return;
  turn.emit({ type: 'AttemptDisclosed', run, step, node, attempt: name.attempt, state, outcome });
}

/** A result that could not be applied may be the end of an attempt that its node told of. */
export function endDisclosed(turn: Turn, job: Job, attempt: number, outcome: Outcome): void {
  if (job.state !== 'held' || job.disclosed?.attempt !== attempt) return;
  turn.emit({ type: 'AttemptDisclosed', ...namesOf(job), attempt, state: 'ended', outcome });
}

/** Nobody can tell what of this was done: whoever can look at the node has to say. */
function holdJobs(turn: Turn, node: Node, silence: string): void {
  const reason = `what ${node.name} did after the backup that was restored is not known: ${silence}`;
  for (const run of restoredRuns(turn.state)) {
    for (const step of run.steps) {
      for (const job of jobsPossiblyDone(step, node)) {
        if (isOver(job) || isLive(job.state) || job.state === 'held') continue;
        turn.emit({ type: 'JobHeld', ...namesOf(job), reason });
      }
    }
  }
}

/** Its own job, or all of a step that it may have carried out for others. */
function jobsPossiblyDone({ step, jobs }: StepState, node: Node): readonly Job[] {
  if (step.runOn !== undefined) return [...jobs.values()];
  const own = jobs.get(node.name);
  return own === undefined ? [] : [own];
}

function restoredRuns({ activeRuns, restoration }: State): readonly Run[] {
  const runsFrom = restoration?.runsFrom ?? 0;
  return [...activeRuns.values()].filter((run) => run.cancel === null && numberOf(run.id) < runsFrom);
}

/** Members whose nodes have not told yet what they did. */
export const silentNodes = (run: Run, lineage: string): readonly string[] =>
  [...run.members.values()]
    .filter(({ node, out }) => out === null && node.lineage !== lineage)
    .map(({ node }) => node.name);
