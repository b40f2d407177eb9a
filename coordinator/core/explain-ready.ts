/** Gates of a job that could run but for its node, another node that carries it out, or a place in its unit. */
import { lackSentence, lacks } from './agent-versions.ts';
import { isAftermath } from './derive.ts';
import { disruptionGate } from './disruption.ts';
import { executorFor, targetsOf } from './executors.ts';
import { runGate } from './explain-run.ts';
import { type Gate, list } from './gate.ts';
import { idOf } from './job-names.ts';
import { hasDomainRoom } from './slots.ts';
import { isOpen, type Job, mayFollowUp, type Node, type State, type UnitState } from './state.ts';
import { hasBegun } from './unit-end.ts';
import { describeWindow, parkedUntil } from './windows.ts';

export function contactGate(node: Node): Gate | undefined {
  if (node.vacancy !== null) {
    const { by, since } = node.vacancy;
    return {
      gate: 'node',
      sentence: `waits: ${node.name} is to be another machine, as ${by} said; the next one that is expected as ${node.name} or joins by this name takes its place`,
      since,
    };
  }
  if (node.administration !== 'in-service') {
    const { administration, administrationReason: reason, administrationBy: by } = node;
    const told = [...(by === '' ? [] : [`by ${by}`]), ...(reason === '' ? [] : [reason])].join(': ');
    return {
      gate: 'node',
      sentence: `waits: ${node.name} is ${administration}${told === '' ? '' : ` (${told})`}`,
      since: node.administrationSince,
    };
  }
  if (node.contact !== 'connected') {
    const how = node.contact === 'unreachable' ? 'is unreachable' : 'lost its link a moment ago';
    return { gate: 'contact', sentence: `waits: ${node.name} ${how}`, since: node.contactSince };
  }
  return undefined;
}

export function readyGate(state: State, job: Job): Gate {
  const { run, member, step } = job;
  const { unit } = step;
  const closed = isAftermath(step) && mayFollowUp(run) ? undefined : runGate(run);
  if (closed !== undefined) return { ...closed, sentence: `waits: ${closed.sentence}` };
  if (unit.approval.kind === 'requested' && !isAftermath(step)) {
    return {
      gate: 'approval',
      sentence: `waits for an approval of "${unit.approval.text}": lockstep approve ${run.id} ${unit.unit.id}`,
      since: unit.approval.at,
    };
  }
  const parked = isAftermath(step) ? undefined : parkedUntil(job, state.at);
  if (parked !== undefined) {
    const until = parked.until === null ? '' : ` until ${new Date(parked.until).toISOString()}`;
    return {
      gate: 'window',
      sentence: `is parked${until}: ${unit.unit.id} begins in its window ${describeWindow(unit)} only`,
      since: job.since,
    };
  }
  const contact = contactGate(member.node);
  if (contact !== undefined) {
    const isSilent = state.restoration !== null && member.node.lineage !== state.lineage;
    const more = isSilent ? ', and has not told what it did since the backup that was restored' : '';
    return { ...contact, sentence: contact.sentence + more };
  }
  const executor = executorFor(job)?.node ?? member.node;
  const missing = lacks(executor, job);
  if (missing.length > 0)
    return {
      gate: 'agent-version',
      sentence: `waits: ${lackSentence(executor, missing)}`,
      since: job.since,
    };
  const elsewhere = executorGate(job);
  if (elsewhere !== undefined) return elsewhere;
  const target = targetGate(job);
  if (target !== undefined) return target;
  const [live] = [...member.node.segment, ...member.node.attended];
  if (live !== undefined) {
    return {
      gate: 'node',
      sentence: `waits: ${member.node.name} has ${idOf(live)} to finish first`,
      since: live.since,
    };
  }
  const [due] = member.deferred;
  if (due !== undefined && due < step.index && isOpen(run)) {
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

/** What is for a whole role waits until nothing else is done on any of its nodes. */
function targetGate(job: Job): Gate | undefined {
  const { scope } = job.step.step;
  if (scope === undefined) return undefined;
  const carrier = executorFor(job);
  const others = targetsOf(job).filter((target) => target !== carrier);
  const closed = others.flatMap(({ node }): readonly Pick<Gate, 'sentence' | 'since'>[] => {
    const [live] = [...node.segment, ...node.attended];
    const contact = contactGate(node);
    if (contact !== undefined) return [contact];
    return live === undefined
      ? []
      : [{ sentence: `waits: ${node.name} has ${idOf(live)} to finish first`, since: live.since }];
  });
  const [first, ...more] = closed;
  if (first === undefined) return undefined;
  const also = more.length === 0 ? '' : `, and ${more.length} more of role ${scope.role} cannot yet either`;
  return { gate: 'targets', sentence: first.sentence + also, since: first.since };
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
  if (isAftermath(job.step) && !hasBegun(job.run, unit, node.name)) return undefined;
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
  if (domain === undefined || hasDomainRoom(unit, domain)) return disruptionGate(state, job);
  return {
    gate: 'slot',
    sentence: `waits for a slot in ${unit.unit.id}: its failure domain ${domain} has to wait while ${holders} ${unit.unavailable.size === 1 ? 'is' : 'are'} unavailable in ${list(unit.unavailableByDomain.keys())}`,
    since,
  };
}
