/**
 * Why something does not happen yet: for every unfinished job the gate that is closed, who or what holds it,
 * and since when. It follows the gates in the order in which progress.ts tries them; the sentences of what belongs
 * together are in explain-run.ts, explain-ready.ts and explain-live.ts.
 */
import { assertNever } from '../../shared/assert.ts';
import { isActive, isAftermath, isOver, isSettled } from './derive.ts';
import { executorOf } from './executors.ts';
import { type ExpectedNode, marksOfExpectation } from './expectation.ts';
import { describeMarks } from './expected-nodes.ts';
import { away, grantedGate, howFar, type IterationOf, mayGoOn, rebootGate } from './explain-live.ts';
import { contactGate, readyGate } from './explain-ready.ts';
import { explainGathering, queueGate, runGate } from './explain-run.ts';
import { type Gate, list } from './gate.ts';
import { idOf } from './job-names.ts';
import type { Fence } from './reign.ts';
import { describeFence } from './restoration.ts';
import { runStateOf } from './shown-states.ts';
import type { Job, Node, Run, State, StepState } from './state.ts';
import { isDue } from './unit-end.ts';

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

/** One explanation for each unfinished job of a run; one for the run itself while it has no jobs. */
export function explainRun(state: State, run: Run, iterationOf: IterationOf): readonly Explanation[] {
  if (run.end !== null) return [];
  if (!run.planned) return [ofRun(run, explainGathering(state, run))];
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
  if (explanations.length > 0 && node.vacancy === null) return explanations;
  const gate = contactGate(node) ?? {
    gate: 'idle',
    sentence: `${node.name} has nothing to do: no run that has not ended includes it`,
    since: node.contactSince,
  };
  const explanation = { job: null, run: null, node: node.name, state: node.contact, ...gate };
  if (node.unmet === null) return [explanation, ...explanations];
  const sentence = `${node.name} joined by its own name: ${node.unmet}; correct the file and import it, then stop its agent, say lockstep node rm ${node.name}, and start it again`;
  return [explanation, { ...explanation, gate: 'expectation', sentence, since: node.incarnationSince }];
}

/** What keeps a node from being there that is only expected: its machine. And who may be meant by it. */
export function explainExpected(state: State, expected: ExpectedNode): readonly Explanation[] {
  const { node: name, by, since } = expected;
  const marks = describeMarks(marksOfExpectation(expected));
  const unmet = [...state.nodes.values()].filter((node) => `${node.unmet},`.includes(` of ${name},`));
  const others = unmet.map((node) => `; ${node.name} is there and is not taken for it: ${node.unmet}`);
  const sentence = `${name} is expected, as ${by} said, and no machine with ${marks} has connected yet${others.join('')}`;
  return [{ job: null, run: null, node: name, state: 'expected', gate: 'expectation', sentence, since }];
}

const ofRun = (run: Run, gate: Gate): Explanation => ({
  job: null,
  run: run.id,
  node: null,
  state: runStateOf(run),
  ...gate,
});

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
      return waitingGate(state, job);
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

const fenceGate = (fence: Fence): Gate => ({
  gate: 'fence',
  sentence: `waits: ${describeFence(fence)}`,
  since: fence.at,
});

function waitingGate(state: State, job: Job): Gate {
  const { run, step } = job;
  if (run.startedAt === null) return queueGate(state, run, job);
  if (!isActive(run, step.unit))
    return { gate: 'end', sentence: 'is run at the end, whatever becomes of the rest', since: job.since };
  if (isAftermath(step) && !isDue(job)) return aftermathGate(job);
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

/** Nobody knows yet whether it is done at all, or nothing of it is done before the steps have ended. */
function aftermathGate({ step, member, since }: Job): Gate {
  const { id } = step.unit.unit;
  const sentence =
    step.step.part === 'rescue'
      ? `is done when ${id} has failed on ${member.node.name}`
      : `is done when ${id} has ended on ${member.node.name}, however that is`;
  return { gate: 'end', sentence, since };
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
