/** How an operator lets a held run or job go on. Each way is a decision in the journal, with who and why. */
import { assertNever } from '../../shared/assert.ts';
import { requireThat } from './administration.ts';
import type { Command } from './commands.ts';
import { hasNodeLeft, isActive, isAftermath, isOpenFailure, isSettled } from './derive.ts';
import { describeElection, electionsDue, electOption } from './elections.ts';
import { findJob } from './evolve-jobs.ts';
import { executorOf } from './executors.ts';
import { afterFailure } from './failure.ts';
import { idOf, namesOf } from './job-names.ts';
import { isLive } from './job-state.ts';
import { requireActive } from './runs.ts';
import { usesLeader } from './selection.ts';
import { runStateOf } from './shown-states.ts';
import type { Job, Run, StepState } from './state.ts';
import type { Turn } from './turn.ts';
import { Rejection } from './turn.ts';
import { isFollowedUp, isLeftOut, isToBeFollowedUp } from './unit-end.ts';

type ResumeRun = Extract<Command, { type: 'ResumeRun' }>;

export function resumeRun(turn: Turn, command: ResumeRun): void {
  const run = requireActive(turn, command.run);
  requireThat(run.cancel === null, 'conflict', `run ${run.id} is being cancelled`);
  const { how } = command;
  switch (how.kind) {
    case 'continue':
      continueRun(turn, run, command);
      return;
    case 'retry-failed':
    case 'accept-failed':
      resumeFailed(turn, run, command, how.kind);
      return;
    case 'as-reported':
      resumeAsReported(turn, run, command);
      return;
    case 'elect':
      elect(turn, run, command, how.node, how.role);
      return;
    default:
      assertNever(how);
  }
}

function resumed(turn: Turn, run: Run, command: ResumeRun): void {
  turn.emit({
    type: 'RunResumed',
    run: run.id,
    how: command.how.kind,
    by: command.by,
    reason: command.reason,
  });
}

/** Whether somebody has still to decide about failures: nodes that have left were dealt with. */
const hasOpenFailures = (run: Run): boolean =>
  run.units.some((unit) => [...unit.failed].some((node) => run.members.get(node)?.out === null));

function continueRun(turn: Turn, run: Run, command: ResumeRun): void {
  requireThat(run.hold !== null, 'conflict', `run ${run.id} is not held (it is ${runStateOf(run)})`);
  requireThat(
    !hasOpenFailures(run),
    'conflict',
    `run ${run.id} is held because ${run.hold.reason}: resume it with --retry-failed or --accept-failed`,
  );
  const leaderless = leaderlessRoles(run);
  requireThat(
    leaderless.length === 0,
    'conflict',
    `role ${leaderless.join(', ')} of run ${run.id} has no leader: resume it with --elect NODE`,
  );
  resumed(turn, run, command);
}

/** After a restore: what nodes say that they ended counts as they say. What they cannot tell stays held. */
function resumeAsReported(turn: Turn, run: Run, command: ResumeRun): void {
  const mayContinue = run.hold?.restored !== undefined && run.failing === null;
  let decided = 0;
  for (const job of run.steps.flatMap((step) => [...step.jobs.values()])) {
    const as = asReported(job);
    // In order of steps: what comes before a job is decided first.
    if (as === undefined || job.state !== 'held' || unsettledNeed(job) !== undefined) continue;
    if (!isActive(run, job.step.unit)) continue;
    const reason = `attempt ${job.disclosed?.attempt ?? 0} ${as}, says its node`;
    turn.emit({ type: 'JobDecided', ...namesOf(job), as, by: command.by, reason });
    if (as === 'failed') afterFailure(turn, job);
    decided += 1;
  }
  requireThat(
    decided > 0 || mayContinue,
    'conflict',
    `no held job of run ${run.id} whose turn it is has an end that its node reported after a restore`,
  );
  if (mayContinue && run.failing === null && leaderlessRoles(run).length === 0) resumed(turn, run, command);
}

function asReported({ disclosed }: Job): 'succeeded' | 'failed' | undefined {
  switch (disclosed?.outcome) {
    case 'succeeded':
      return 'succeeded';
    case 'failed':
    case 'timed-out':
      return 'failed';
    default:
      return undefined;
  }
}

const leaderlessRoles = (run: Run): readonly string[] =>
  electionsDue(run)
    .filter(({ leader }) => leader === null)
    .map(({ role }) => role);

function* openFailures(run: Run): Iterable<Job> {
  for (const step of run.steps) {
    for (const job of step.jobs.values()) if (isOpenFailure(job)) yield job;
  }
}

/** Slots that nodes kept which failed within the budget: they count as unavailable until somebody accepts that. */
export function* slotsOfLeft(run: Run): Iterable<{ unit: string; node: string }> {
  for (const unit of run.units) {
    for (const node of unit.slots.keys()) {
      if (run.members.get(node)?.out != null && !isToBeFollowedUp(run, unit, node))
        yield { unit: unit.unit.id, node };
    }
  }
}

function resumeFailed(
  turn: Turn,
  run: Run,
  command: ResumeRun,
  kind: 'retry-failed' | 'accept-failed',
): void {
  const failures = [...openFailures(run)];
  const kept = kind === 'accept-failed' && run.hold !== null ? [...slotsOfLeft(run)] : [];
  requireThat(
    failures.length + kept.length > 0,
    'conflict',
    `no job of run ${run.id} has failed that a decision could change`,
  );
  requireThat(
    run.failing?.hold === true || kept.length > 0,
    'conflict',
    `run ${run.id} is not held for its failures (it is ${runStateOf(run)})`,
  );
  requireThat(
    kind === 'accept-failed' || run.jobsLive === 0,
    'conflict',
    `run ${run.id} has jobs that still run: wait until it is held`,
  );
  const followed = failures.find(isFollowedUp);
  requireThat(
    followed === undefined,
    'conflict',
    followed === undefined
      ? ''
      : `what stands in rescue or always is being done after ${idOf(followed)}: wait until run ${run.id} is held`,
  );
  if (kind === 'accept-failed') {
    requireLeaders(run);
    for (const job of failures) {
      const { step, member } = job;
      const node = member.node.name;
      if (step.unit.slots.has(node) && !isToBeFollowedUp(run, step.unit, node))
        turn.emit({ type: 'SlotReleased', run: run.id, unit: step.unit.unit.id, node });
    }
    for (const { unit, node } of kept) turn.emit({ type: 'SlotReleased', run: run.id, unit, node });
  }
  resumed(turn, run, command);
}

/** A leader that goes leaves out what only it was to do, and what comes after that would be done all the same. */
function requireLeaders(run: Run): void {
  const due = electionsDue(run).filter(({ leader }) => leader !== null);
  const [first] = due;
  if (first === undefined) return;
  const instead =
    first.candidates.length > 0
      ? `give ${first.role} another leader first with lockstep resume ${run.id} ${electOption(first, due)}, or run`
      : `nobody else is left to lead ${first.role}; run`;
  throw new Rejection(
    'conflict',
    `${describeElection(first)}, which would be left out: ${instead} again what failed with --retry-failed, or cancel the run`,
  );
}

function elect(turn: Turn, run: Run, command: ResumeRun, node: string, named: string | null): void {
  requireThat(run.planned, 'conflict', `run ${run.id} still waits for its nodes`);
  const candidates = [...run.roles.values()].filter(
    (role) =>
      usesLeader(run.pipeline, role.name) &&
      (named === null ? role.nodes.includes(node) : role.name === named),
  );
  const [role] = candidates;
  if (role === undefined) {
    throw new Rejection(
      'invalid',
      `no role of run ${run.id} that has a leader ${named ?? `contains ${node}`}`,
    );
  }
  requireThat(
    candidates.length === 1,
    'usage',
    `${node} is in several roles: name one of ${candidates.map((candidate) => candidate.name).join(', ')} with --role`,
  );
  requireThat(
    role.nodes.includes(node),
    'invalid',
    `${node} is not in role ${role.name} (it has ${role.nodes.join(', ')})`,
  );
  requireThat(role.leader !== node, 'conflict', `${node} is already the leader of role ${role.name}`);
  const out = run.members.get(node)?.out ?? null;
  requireThat(out === null, 'conflict', `${node} has left run ${run.id} (${out ?? ''}): elect another node`);
  const busy = liveLeaderJob(run, role.name);
  requireThat(
    busy === undefined,
    'conflict',
    busy === undefined
      ? ''
      : `${idOf(busy)} is ${busy.state} on the present leader: decide it first with lockstep resume ${idOf(busy)} --as succeeded|failed|again`,
  );
  const { by, reason } = command;
  turn.emit({ type: 'LeaderElected', run: run.id, cluster: run.cluster, role: role.name, node, by, reason });
  const mayGoOn = run.hold !== null && run.hold.restored === undefined;
  if (mayGoOn && leaderlessRoles(run).length === 0 && !hasOpenFailures(run)) {
    resumed(turn, run, command);
  }
}

function liveLeaderJob(run: Run, role: string): Job | undefined {
  for (const step of run.steps) {
    if (!step.step.on.some((target) => target.role === role && target.who === 'leader')) continue;
    for (const job of step.jobs.values()) if (isLive(job.state)) return job;
  }
  return undefined;
}

const hasLive = ({ jobs }: StepState): boolean => [...jobs.values()].some(({ state }) => isLive(state));

function unsettledNeed(job: Job): Job | undefined {
  const { run, step, member } = job;
  if (job.blockers === 0 && step.barriers === 0) return undefined;
  for (const need of step.step.needs) {
    const index = run.stepIndex.get(need.step) ?? -1;
    const own = run.steps[index]?.jobs.get(member.node.name);
    if (own !== undefined && !isSettled(own) && !isLeftOut(own)) return own;
  }
  return undefined;
}

const isToDecide = (job: Job): boolean =>
  job.state === 'held' || job.state === 'unknown' || isOpenFailure(job);

export function decideJob(turn: Turn, command: Extract<Command, { type: 'DecideJob' }>): void {
  const [runId = '', step = '', node = ''] = command.job.split('/');
  const run = requireActive(turn, runId);
  const job = findJob(turn.state, runId, step, node);
  if (job === undefined) throw new Rejection('not-found', `run ${runId} has no job ${command.job}`);
  const open = isToDecide(job);
  const { as, by, reason } = command;
  requireThat(
    open,
    'conflict',
    `${command.job} is ${job.state}: only a held, unknown or failed job of a held run can be decided`,
  );
  requireThat(
    isActive(run, job.step.unit),
    'conflict',
    `${command.job} is one of the last steps: decide it when the rest of run ${runId} is done`,
  );
  // It was granted ahead, with one before it that is open itself: what came of that decides about this one too.
  const before = unsettledNeed(job);
  requireThat(
    before === undefined,
    'conflict',
    before === undefined
      ? ''
      : `${command.job} comes after ${idOf(before)}, which is ${before.state}: ${isToDecide(before) ? 'decide that first' : 'decide it when that has ended'}`,
  );
  const followed = job.state === 'failed' && run.steps.some((one) => isAftermath(one) && hasLive(one));
  requireThat(
    !followed,
    'conflict',
    `what stands in rescue or always of run ${runId} is being done: decide ${command.job} when that has ended`,
  );
  requireThat(!(job.state === 'failed' && as === 'failed'), 'conflict', `${command.job} has failed already`);
  requireThat(
    as !== 'again' || !hasNodeLeft(job),
    'conflict',
    `${node} has left run ${runId} (${job.member.out ?? ''}): ${command.job} can only be decided as succeeded or failed`,
  );
  const ahead = executorOf(job)
    .node.segment.filter((live) => live !== job && live.member === job.member)
    .at(-1);
  requireThat(
    as !== 'again' || ahead === undefined,
    'conflict',
    `${node} may have gone on from ${command.job} to ${ahead === undefined ? '' : idOf(ahead)}: wait until it is back and says so, or decide ${command.job} as succeeded or failed`,
  );
  turn.emit({ type: 'JobDecided', ...namesOf(job), as, by, reason });
  if (as === 'failed') {
    afterFailure(turn, job);
    return;
  }
  if (run.failing !== null && run.hold?.restored === undefined && !hasOpenFailures(run)) {
    turn.emit({ type: 'RunResumed', run: run.id, how: 'continue', by, reason });
  }
}
