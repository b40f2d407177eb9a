/**
 * Segments: which jobs of a node are granted together with the one whose turn it is. They are those that the
 * node can go through by itself: every gate is open, or opens when the node's own job before it in the segment
 * has succeeded there. So a node works on while its link is down, and no further than other nodes allow.
 *
 * Values are evaluated when the segment is granted, so a job that reads what an earlier one of the segment only
 * makes comes with a later grant; so does one that needs an approval, a slot or a place of its own, or whose
 * condition does not hold (it is skipped when its turn comes). When the run stops, what has not begun comes back.
 */
import { present } from '../../shared/assert.ts';
import type { Step } from '../../shared/pipeline/model.ts';
import { lacks } from './agent-versions.ts';
import { isSettled } from './derive.ts';
import { evaluateIf } from './inputs.ts';
import { attemptOf } from './job-names.ts';
import { isLive } from './job-state.ts';
import { type Reads, readsOfExpression, readsOfTemplate } from './scope.ts';
import type { Job, Node, Run, StepState } from './state.ts';
import type { Turn } from './turn.ts';

/** The job that comes next on the node once those of the segment are done, if it may be granted with them. */
export function nextInSegment(turn: Turn, segment: readonly Job[]): Job | undefined {
  const { run, member, step: last } = present(segment.at(-1), 'last job of the segment');
  // What has not begun comes back at a reboot anyway.
  if (last.step.reboot !== undefined || last.step.runOn !== undefined || last.step.scope !== undefined)
    return undefined;
  // What comes after steps is done one by one, for no failure stops the rest of it.
  if (last.step.part !== undefined) return undefined;
  const candidates = new Set(member.ready.map((index) => jobAt(run, index, member.node.name)));
  for (const { step } of segment) {
    for (const dependent of step.dependents) candidates.add(jobAt(run, dependent.step, member.node.name));
  }
  return [...candidates]
    .filter((job) => job !== undefined)
    .filter((job) => !member.deferred.some((index) => index < job.step.index && !isIn(segment, index)))
    .sort((a, b) => a.step.index - b.step.index)
    .find((job) => opensAfter(job, segment) && mayBeGrantedAhead(turn, job, segment));
}

const isIn = (segment: readonly Job[], index: number): boolean =>
  segment.some(({ step }) => step.index === index);

const jobAt = (run: Run, index: number, node: string): Job | undefined => run.steps[index]?.jobs.get(node);

/** Whether nothing keeps the job waiting but jobs of the segment. */
function opensAfter(job: Job, segment: readonly Job[]): boolean {
  if (job.state === 'ready') return true;
  if (job.state !== 'waiting') return false;
  const { run, step, member } = job;
  let blockers = 0;
  let barriers = 0;
  for (const need of step.step.needs) {
    const needed = present(run.steps[run.stepIndex.get(need.step) ?? -1], `needed step ${need.step}`);
    const own = needed.jobs.get(member.node.name);
    // One that was deferred keeps nobody waiting.
    if (own === undefined || isSettled(own) || !segment.includes(own)) continue;
    if (need.sameNode) blockers += 1;
    // A barrier that only this node's own job keeps closed, as between two steps of a leader.
    else if (needed.jobsUnfinished === 1) barriers += 1;
  }
  return blockers === job.blockers && barriers === step.barriers;
}

function mayBeGrantedAhead(turn: Turn, job: Job, segment: readonly Job[]): boolean {
  const { run, step, member } = job;
  const { unit } = step;
  const { node } = member;
  if (step.step.runOn !== undefined || step.step.scope !== undefined) return false;
  if (step.step.part !== undefined || step.step.offline !== 'wait' || lacks(node, job).length > 0)
    return false;
  // With the state folder of a diskless node goes the evidence of what never began, too.
  if (node.diskless && step.step.rerun === 'never-twice') return false;
  if ((unit.approval.kind === 'needed' || unit.approval.kind === 'requested') && !run.checkOnly) return false;
  const hasPlace =
    unit.unit.strategy.kind === 'rolling'
      ? unit.slots.has(node.name)
      : unit.limits.atOnce >= unit.nodes.length || unit.live.has(node.name);
  if (!hasPlace) return false;
  // When the node comes to it by itself its window may have closed; a group that it has begun it goes through.
  if (unit.unit.window !== undefined && segment.every((before) => before.step.unit !== unit)) return false;
  const { steps, roots } = readsOf(step);
  for (const name of steps) {
    const source = run.steps[run.stepIndex.get(name) ?? -1];
    if (source !== undefined && source.jobsUnfinished > 0) return false;
  }
  if (roots.has('services') && segment.some(({ step: { step } }) => step.provides !== undefined))
    return false;
  const condition = evaluateIf(turn.state, job, turn.lookup);
  return condition.ok && condition.value;
}

/** What the expressions of a step read, in all its alternatives. Dies with the step. */
const readsByStep = new WeakMap<StepState, Reads>();

function readsOf(step: StepState): Reads {
  const known = readsByStep.get(step);
  if (known !== undefined) return known;
  const all = [...expressionsOf(step.step)];
  const reads: Reads = {
    roots: new Set(all.flatMap(({ roots }) => [...roots])),
    steps: new Set(all.flatMap(({ steps }) => [...steps])),
  };
  readsByStep.set(step, reads);
  return reads;
}

function* expressionsOf(step: Step): Iterable<Reads> {
  if (step.if !== undefined) yield readsOfExpression(step.if);
  for (const task of step.tasks) if (task.if !== undefined) yield readsOfExpression(task.if);
  for (const value of Object.values(step.with)) yield readsOfTemplate(value.template);
  for (const value of [step.provides?.port, step.provides?.address]) {
    if (value !== undefined) yield readsOfTemplate(value.template);
  }
}

/** Whether what the job was granted after has come to nothing meanwhile: then it must not begin. */
export function isStranded({ run, step, member }: Job): boolean {
  return step.step.needs.some((need) => {
    const own = jobAt(run, run.stepIndex.get(need.step) ?? -1, member.node.name);
    return own !== undefined && !isSettled(own) && !isLive(own.state);
  });
}

/** Takes back what has not begun, when the run does not let new work begin any more. */
export function recallFrom(turn: Turn, run: Run, node: Node): void {
  const [, ...ahead] = node.segment;
  if (node.contact !== 'connected' || ahead.length === 0) return;
  const attempts = ahead.map(attemptOf);
  turn.effect({ kind: 'recall', node: node.name, attempts, reason: `run ${run.id} was stopped` });
}

/** The same on all nodes, once for each time that the run stops. */
export function recallSegments(turn: Turn, run: Run): void {
  if (!run.recallDue) return;
  run.recallDue = false;
  for (const { node } of run.members.values()) if (node.segment[0]?.run === run) recallFrom(turn, run, node);
}
