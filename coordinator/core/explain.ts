/**
 * Why something does not happen yet: for every unfinished job the gate that is closed, who or what holds it,
 * and since when. It follows the gates in the order in which progress.ts tries them.
 */
import { assertNever } from '../../shared/assert.ts';
import type { Iteration } from '../../shared/messages.ts';
import { lackSentence, lacks } from './agent-versions.ts';
import { isActive, isOver, isSettled } from './derive.ts';
import { executorFor, executorOf } from './executors.ts';
import { attemptOf, idOf } from './job-names.ts';
import { describeFence, silentNodes } from './restoration.ts';
import { slotsOfLeft } from './resume.ts';
import { hasDomainRoom } from './slots.ts';
import type { Fence, Job, Node, Run, State, StepState, UnitState } from './state.ts';
import { runStateOf } from './state.ts';

export type Explanation = {
  readonly job: string | null;
  readonly run: string | null;
  readonly node: string | null;
  /** State of the job, or of the run or node when there is no job. */
  readonly state: string;
  readonly gate: string;
  readonly sentence: string;
  /** Since when it is so, ms since 1970. */
  readonly since: number | null;
};

type Gate = { readonly gate: string; readonly sentence: string; readonly since: number | null };

/** What connected nodes tell of the executions that they repeat. It is of the moment, and not part of the state. */
export type IterationOf = (node: string) => Iteration | undefined;

/** One explanation for each unfinished job of a run; one for the run itself while it has no jobs. */
export function explainRun(state: State, run: Run, iterationOf: IterationOf): readonly Explanation[] {
  if (run.end !== null) return [];
  if (!run.planned) return [ofRun(run, explainGathering(run))];
  const explanations: Explanation[] = [];
  for (const step of run.steps) {
    for (const job of step.jobs.values()) {
      if (isOver(job)) continue;
      explanations.push(explainJob(state, job, iterationOf));
    }
  }
  return explanations;
}

/** What a node does or waits for, in whatever run; one line when it has nothing to do. */
export function explainNode(state: State, node: Node, iterationOf: IterationOf): readonly Explanation[] {
  const explanations: Explanation[] = [];
  for (const run of [...node.queue, ...node.deferredRuns]) {
    for (const step of run.steps) {
      const job = step.jobs.get(node.name);
      if (job !== undefined && !isOver(job)) explanations.push(explainJob(state, job, iterationOf));
    }
  }
  if (explanations.length > 0) return explanations;
  const gate = contactGate(node) ?? {
    gate: 'idle',
    sentence: `${node.name} has nothing to do: no run that has not ended includes it`,
    since: node.contactSince,
  };
  return [{ job: null, run: null, node: node.name, state: node.contact, ...gate }];
}

const ofRun = (run: Run, gate: Gate): Explanation => ({
  job: null,
  run: run.id,
  node: null,
  state: runStateOf(run),
  ...gate,
});

function explainGathering(run: Run): Gate {
  const waiting = Object.values(run.pipeline.roles).filter((role) => role.waitForMs !== undefined);
  const parts = waiting.map((role) => {
    const until = new Date(run.createdAt + (role.waitForMs ?? 0)).toISOString();
    const needed = role.count ?? 1;
    return `role ${role.name} waits for ${needed} connected ${needed === 1 ? 'node' : 'nodes'} until ${until}`;
  });
  return {
    gate: 'nodes',
    sentence: `run ${run.id} has not begun: ${parts.join('; ')}`,
    since: run.createdAt,
  };
}

function explainJob(state: State, job: Job, iterationOf: IterationOf): Explanation {
  const { run } = job;
  const gate = gateOf(state, job, iterationOf);
  return {
    job: idOf(job),
    run: run.id,
    node: job.member.node.name,
    state: job.state,
    gate: gate.gate,
    sentence: `${idOf(job)} ${gate.sentence}`,
    since: gate.since,
  };
}

function gateOf(state: State, job: Job, iterationOf: IterationOf): Gate {
  const { node } = job.member;
  const { node: executor } = executorOf(job);
  if (state.fence !== null && (job.state === 'waiting' || job.state === 'ready'))
    return fenceGate(state.fence);
  switch (job.state) {
    case 'waiting':
      return waitingGate(job);
    case 'ready':
      return readyGate(state, job);
    case 'granted':
      return grantedGate(job);
    case 'running':
      if (job.reboot !== null) return rebootGate(job, job.reboot);
      return {
        gate: 'result',
        sentence: `is running on ${executor.name}, attempt ${job.attempt}${howFar(job, iterationOf)}${away(job)}`,
        since: job.since,
      };
    case 'unknown':
      return {
        gate: 'contact',
        sentence: `is unknown: ${executor.name} cannot be reached and may be running attempt ${job.attempt}${mayGoOn(job)}; it goes on when the node returns, or say lockstep resume ${idOf(job)} --as succeeded|failed|again`,
        since: executor.contactSince,
      };
    case 'deferred':
      return {
        gate: 'contact',
        sentence: `is deferred: ${node.name} is away; it runs when the node is back, until ${new Date(job.deferred?.until ?? 0).toISOString()}`,
        since: node.contactSince,
      };
    case 'held':
      return {
        gate: 'decision',
        sentence: `is held: ${job.reason ?? 'no reason given'}; decide it with lockstep resume ${idOf(job)} --as succeeded|failed|again`,
        since: job.since,
      };
    case 'failed':
      return {
        gate: 'decision',
        sentence: `failed (${job.reason ?? 'no reason given'}), and ${runGate(job.run)?.sentence ?? 'its run goes on without it'}`,
        since: job.since,
      };
    case 'succeeded':
    case 'skipped':
    case 'cancelled':
      return { gate: 'none', sentence: `is ${job.state}`, since: job.finishedAt };
    default:
      return assertNever(job.state);
  }
}

/** The iteration of its live attempt, when its node tells of one. */
export function iterationOfJob(job: Job, iterationOf: IterationOf): Iteration | undefined {
  const iteration = job.state === 'running' ? iterationOf(executorOf(job).node.name) : undefined;
  return iteration?.attempt === attemptOf(job) ? iteration : undefined;
}

function howFar(job: Job, iterationOf: IterationOf): string {
  const iteration = iterationOfJob(job, iterationOf);
  if (iteration === undefined) return '';
  const { phase, number, exitCode, signal } = iteration;
  const how = signal === null ? `ended with exit code ${exitCode}` : `was ended by ${signal}`;
  return phase === 'verify'
    ? `: its verify has not passed, try ${number} ${how}`
    : `: iteration ${number} ${how}, and its until does not hold yet`;
}

const fenceGate = (fence: Fence): Gate => ({
  gate: 'fence',
  sentence: `waits: ${describeFence(fence)}`,
  since: fence.at,
});

function grantedGate(job: Job): Gate {
  const { segment, name } = executorOf(job).node;
  const before = segment[segment.indexOf(job) - 1];
  if (before !== undefined) {
    return {
      gate: 'segment',
      sentence: `was granted to ${name} as attempt ${job.attempt} and begins there when ${before.step.step.id} has succeeded${away(job)}`,
      since: job.since,
    };
  }
  return {
    gate: 'start',
    sentence: `was granted to ${name} as attempt ${job.attempt} and has not been reported as started${away(job)}`,
    since: job.since,
  };
}

function rebootGate(job: Job, { boot, until }: NonNullable<Job['reboot']>): Gate {
  const { node } = job.member;
  const where =
    node.contact === 'connected' && node.boot === boot
      ? 'is about to reboot'
      : 'is to come back from its reboot';
  return {
    gate: 'reboot',
    sentence: `is done but for the reboot that it asked for: ${node.name} ${where} until ${new Date(until).toISOString()}`,
    since: job.since,
  };
}

function away(job: Job): string {
  const { node } = executorOf(job);
  return node.contact === 'connected' ? '' : `; ${node.name} is not connected at the moment${mayGoOn(job)}`;
}

/** How far the node may go by itself while nobody hears from it. */
function mayGoOn(job: Job): string {
  const { segment } = executorOf(job).node;
  const last = segment.at(-1);
  if (last === undefined || last === job) return '';
  return ` and may go on as far as ${last.step.step.id}`;
}

/** Gates of the run as a whole, which close it for all its jobs. */
function runGate(run: Run): Gate | undefined {
  if (run.cancel !== null) {
    return {
      gate: 'cancel',
      sentence: `run ${run.id} is being cancelled by ${run.cancel.by}; ${run.jobsLive} jobs have not ended yet`,
      since: run.cancel.at,
    };
  }
  if (run.hold?.restored !== undefined) {
    const silent = silentNodes(run, run.hold.restored);
    const told = silent.length === 0 ? 'all its nodes have told' : `not yet told: ${list(silent)}`;
    return {
      gate: 'hold',
      sentence: `run ${run.id} is held: ${run.hold.reason} (${told}); look at what is held in it, then say lockstep resume ${run.id}${resumeOption(run)}${anyReported(run) ? ' --as-reported' : ''}`,
      since: run.hold.at,
    };
  }
  if (run.hold !== null) {
    const next =
      run.hold.needs === 'contact'
        ? 'it goes on by itself when enough nodes are back'
        : `resume it with lockstep resume ${run.id}${resumeOption(run)}, or cancel it`;
    return {
      gate: 'hold',
      sentence: `run ${run.id} is held: ${run.hold.reason}; ${next}`,
      since: run.hold.at,
    };
  }
  if (run.failing !== null) {
    return {
      gate: 'failure',
      sentence: `run ${run.id} grants nothing more because ${run.failing.reason}; ${run.jobsLive} jobs still run`,
      since: run.failing.at,
    };
  }
  if (run.unitsOverBudget > 0) {
    const parts = run.units.filter((unit) => unit.overBudget).map(budgetSentence);
    return { gate: 'budget', sentence: `run ${run.id} is paused: ${parts.join('; ')}`, since: run.pausedAt };
  }
  return undefined;
}

const anyReported = (run: Run): boolean =>
  run.jobsHeld > 0 &&
  run.steps.some((step) => [...step.jobs.values()].some((job) => (job.disclosed?.outcome ?? null) !== null));

function resumeOption(run: Run): string {
  if (run.failing !== null) return ' --retry-failed|--accept-failed';
  const [kept] = slotsOfLeft(run);
  return kept === undefined ? '' : ' --accept-failed';
}

const listedMax = 5;

function list(names: Iterable<string>): string {
  const all = [...names];
  const more = all.length - listedMax;
  return more > 0 ? `${all.slice(0, listedMax).join(', ')} and ${more} more` : all.join(', ');
}

function budgetSentence(unit: UnitState): string {
  const parts: string[] = [];
  if (unit.unknown.size > unit.limits.unknown) {
    parts.push(
      `${list(unit.unknown)} may be running it and cannot be reached (maxUnknown ${unit.limits.unknown})`,
    );
  }
  if (unit.unreachable.size > unit.limits.unreachable) {
    parts.push(`${list(unit.unreachable)} cannot be reached (maxUnreachable ${unit.limits.unreachable})`);
  }
  return `in ${unit.unit.id} ${parts.join(' and ')}`;
}

function waitingGate(job: Job): Gate {
  const { run, step } = job;
  if (run.startedAt === null) return queueGate(run, job);
  if (!isActive(run, step.unit))
    return { gate: 'end', sentence: 'is run at the end, whatever becomes of the rest', since: job.since };
  for (const need of step.step.needs) {
    const needed = run.steps[run.stepIndex.get(need.step) ?? -1];
    if (needed === undefined) continue;
    if (need.sameNode) {
      const own = needed.jobs.get(job.member.node.name);
      if (own === undefined || isSettled(own)) continue;
      return {
        gate: 'need',
        sentence: `waits for ${need.step} on the same node, which is ${own.state}${whyWaiting(own)}`,
        since: own.since,
      };
    }
    if (needed.jobsUnfinished > 0) return barrierGate(needed);
  }
  return runGate(run) ?? { gate: 'order', sentence: 'waits for the step before it', since: job.since };
}

const whyWaiting = (job: Job): string => (job.state === 'waiting' ? ' itself' : '');

function barrierGate(needed: StepState): Gate {
  const open = [...needed.jobs.values()].filter((job) => !isSettled(job));
  const since = open.reduce((earliest, job) => Math.min(earliest, job.since), Number.POSITIVE_INFINITY);
  const named = open.map((job) => `${job.member.node.name} (${job.state})`);
  return {
    gate: 'barrier',
    sentence: `waits for ${needed.step.id} to finish on every node; open are ${list(named)}`,
    since: Number.isFinite(since) ? since : null,
  };
}

function queueGate(run: Run, job: Job): Gate {
  const closed = runGate(run);
  if (closed !== undefined) return { ...closed, sentence: `waits: ${closed.sentence}` };
  const own = job.member.node.queue[0];
  if (own !== undefined && own !== run) {
    return {
      gate: 'queue',
      sentence: `waits for run ${own.id} (${own.pipeline.name}, ${runStateOf(own)}), which has ${job.member.node.name}`,
      since: run.createdAt,
    };
  }
  const others = new Map<string, string[]>();
  for (const { node } of run.members.values()) {
    const [first] = node.queue;
    if (first === undefined || first === run) continue;
    others.set(first.id, [...(others.get(first.id) ?? []), node.name]);
  }
  const named = [...others].map(([id, nodes]) => `run ${id}, which has ${list(nodes)}`);
  return {
    gate: 'queue',
    sentence: `waits for ${named.join('; ') || 'its run to start'}`,
    since: run.createdAt,
  };
}

function contactGate(node: Node): Gate | undefined {
  if (node.administration !== 'in-service') {
    const reason = node.administrationReason === '' ? '' : ` (${node.administrationReason})`;
    return { gate: 'node', sentence: `waits: ${node.name} is ${node.administration}${reason}`, since: null };
  }
  if (node.contact !== 'connected') {
    const how = node.contact === 'unreachable' ? 'is unreachable' : 'lost its link a moment ago';
    return { gate: 'contact', sentence: `waits: ${node.name} ${how}`, since: node.contactSince };
  }
  return undefined;
}

function readyGate(state: State, job: Job): Gate {
  const { run, member, step } = job;
  const { unit } = step;
  const closed = runGate(run);
  if (closed !== undefined) return { ...closed, sentence: `waits: ${closed.sentence}` };
  if (unit.approval.kind === 'requested') {
    return {
      gate: 'approval',
      sentence: `waits for an approval of "${unit.approval.text}": lockstep approve ${run.id} ${unit.unit.id}`,
      since: unit.approval.at,
    };
  }
  const contact = contactGate(member.node);
  if (contact !== undefined) {
    const isSilent = state.restoration !== null && member.node.lineage !== state.lineage;
    const more = isSilent ? ', and has not told what it did since the backup that was restored' : '';
    return { ...contact, sentence: contact.sentence + more };
  }
  const missing = lacks(member.node, job);
  if (missing.length > 0)
    return {
      gate: 'agent-version',
      sentence: `waits: ${lackSentence(member.node, missing)}`,
      since: job.since,
    };
  const elsewhere = executorGate(job);
  if (elsewhere !== undefined) return elsewhere;
  const [live] = [...member.node.segment, ...member.node.attended];
  if (live !== undefined) {
    return {
      gate: 'node',
      sentence: `waits: ${member.node.name} has ${idOf(live)} to finish first`,
      since: live.since,
    };
  }
  const [due] = member.deferred;
  if (due !== undefined && due < step.index) {
    const first = run.steps[due]?.step.id ?? '';
    return {
      gate: 'need',
      sentence: `waits for ${first} on the same node, which was deferred and comes first`,
      since: job.since,
    };
  }
  const place = unit.unit.strategy.kind === 'rolling' ? slotGate(state, unit, job) : parallelGate(unit, job);
  return (
    place ?? {
      gate: 'credit',
      sentence: `is ready: ${member.node.name} is connected and has not asked for work yet`,
      since: job.since,
    }
  );
}

/** A job that another node is to carry out waits for that one, too. */
function executorGate(job: Job): Gate | undefined {
  const executor = executorFor(job)?.node;
  if (executor === undefined || executor === job.member.node) return undefined;
  const contact = contactGate(executor);
  if (contact !== undefined) return { ...contact, gate: 'executor' };
  const [live] = executor.segment;
  if (live === undefined) return undefined;
  return {
    gate: 'executor',
    sentence: `waits: ${executor.name}, which carries it out, has ${idOf(live)} to finish first`,
    since: live.since,
  };
}

function parallelGate(unit: UnitState, job: Job): Gate | undefined {
  if (unit.live.size < unit.limits.atOnce) return undefined;
  return {
    gate: 'parallel',
    sentence: `waits for a place in ${unit.unit.id}: ${unit.live.size} of at most ${unit.limits.atOnce} nodes at once have not ended`,
    since: job.since,
  };
}

function slotGate(state: State, unit: UnitState, job: Job): Gate | undefined {
  const { node } = job.member;
  if (unit.slots.has(node.name)) return undefined;
  const wave = unit.waveOf.get(node.name);
  if (wave === undefined || wave > unit.wave) {
    const left = [...unit.waveOf].filter(([, of]) => of === unit.wave).map(([name]) => name);
    return {
      gate: 'wave',
      sentence: `waits for wave ${unit.wave + 1} of ${unit.unit.id} to end: ${list(left)}`,
      since: job.since,
    };
  }
  if (unit.pauseUntil > state.at) {
    return {
      gate: 'pause',
      sentence: `waits for the pause until ${new Date(unit.pauseUntil).toISOString()}`,
      since: job.since,
    };
  }
  const holders = list(unit.unavailable);
  const since = unit.slots.size === 0 ? job.since : Math.min(...unit.slots.values());
  if (unit.unavailable.size >= unit.limits.atOnce) {
    return {
      gate: 'slot',
      sentence: `waits for a slot in ${unit.unit.id}: ${holders} ${unit.unavailable.size === 1 ? 'is' : 'are'} unavailable, and ${unit.limits.atOnce} may be`,
      since,
    };
  }
  const domain = unit.domains?.get(node.name);
  if (domain === undefined || hasDomainRoom(unit, domain)) return undefined;
  return {
    gate: 'slot',
    sentence: `waits for a slot in ${unit.unit.id}: its failure domain ${domain} has to wait while ${holders} ${unit.unavailable.size === 1 ? 'is' : 'are'} unavailable in ${list(unit.unavailableByDomain.keys())}`,
    since,
  };
}
