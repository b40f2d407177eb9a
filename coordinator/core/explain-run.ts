/** Gates of a run as a whole, which are closed for all its jobs: it gathers nodes, queues, is held, fails or is paused. */

import { awaitedByRole } from './awaited.ts';
import { aheadInGroup } from './concurrency-group.ts';
import { describeElection, electionsDue, electOption } from './elections.ts';
import { type Gate, list } from './gate.ts';
import { silentNodes } from './restoration.ts';
import { slotsOfLeft } from './resume.ts';
import { runStateOf } from './shown-states.ts';
import type { Job, Run, State, UnitState } from './state.ts';

export function explainGathering(state: State, run: Run): Gate {
  const awaitedIn = awaitedByRole(state, run.pipeline, run.cluster, run.limit);
  const waiting = Object.values(run.pipeline.roles).filter((role) => role.waitForMs !== undefined);
  const parts = waiting.map((role) => {
    const until = new Date(run.createdAt + (role.waitForMs ?? 0)).toISOString();
    const needed = role.count ?? 1;
    const awaited = awaitedIn.get(role.name) ?? [];
    const expected = awaited.length === 0 ? '' : `; expected and not there yet: ${list(awaited)}`;
    const all = role.count === undefined && awaited.length > 0 ? ' and all that are expected' : '';
    return `role ${role.name} waits for ${needed} connected ${needed === 1 ? 'node' : 'nodes'}${all} until ${until}${expected}`;
  });
  return {
    gate: 'nodes',
    sentence: `run ${run.id} has not begun: ${parts.join('; ')}`,
    since: run.createdAt,
  };
}

/** Gates of the run as a whole, which close it for all its jobs. */
export function runGate(run: Run): Gate | undefined {
  if (run.cancel?.replacedBy !== undefined) {
    return {
      gate: 'cancel',
      sentence: `run ${run.id} gives way to run ${run.cancel.replacedBy}; ${run.jobsLive} jobs have not ended yet, and lockstep cancel ${run.id} ends them`,
      since: run.cancel.at,
    };
  }
  if (run.cancel !== null) {
    return {
      gate: 'cancel',
      sentence: `run ${run.id} is being cancelled by ${run.cancel.by}; ${run.jobsLive} jobs have not ended yet${afterwards(run)}`,
      since: run.cancel.at,
    };
  }
  if (run.hold?.restored !== undefined) {
    const silent = silentNodes(run, run.hold.restored);
    const told = silent.length === 0 ? 'all its nodes have told' : `not yet told: ${list(silent)}`;
    return {
      gate: 'hold',
      sentence: `run ${run.id} is held: ${run.hold.reason} (${told}); ${afterRestore(run)}`,
      since: run.hold.at,
    };
  }
  if (run.hold !== null) {
    const next =
      run.hold.needs === 'contact'
        ? 'it goes on by itself when enough nodes are back'
        : `${waysOn(run)}, or cancel it`;
    return {
      gate: 'hold',
      sentence: `run ${run.id} is held: ${run.hold.reason}; ${next}`,
      since: run.hold.at,
    };
  }
  if (run.failing !== null) {
    return {
      gate: 'failure',
      sentence: `run ${run.id} grants nothing more because ${run.failing.reason}; ${run.jobsLive} jobs still run${afterwards(run)}`,
      since: run.failing.at,
    };
  }
  if (run.unitsOverBudget > 0) {
    const parts = run.units.filter((unit) => unit.overBudget).map(budgetSentence);
    return { gate: 'budget', sentence: `run ${run.id} is paused: ${parts.join('; ')}`, since: run.pausedAt };
  }
  return undefined;
}

/** What is still done although nothing else begins. */
const afterwards = ({ id, jobsAftermath, cancel }: Run): string =>
  jobsAftermath === 0
    ? ''
    : `, and ${jobsAftermath} of rescue and always ${jobsAftermath === 1 ? 'is' : 'are'} done before it ends${cancel === null || cancel.wholly === true ? '' : ` (lockstep cancel ${id}, once more, gives them up)`}`;

/** What to do about one that is held since a restore. One that fails for good ends, and is not resumed. */
function afterRestore(run: Run): string {
  const reported = anyReported(run) ? ' --as-reported' : '';
  if (run.failing === null || run.failing.hold)
    return `look at what is held in it, then say lockstep resume ${run.id}${resumeOption(run)}${reported}`;
  const how = reported === '' ? '' : ` (lockstep resume ${run.id}${reported} decides what its nodes tell)`;
  return `it fails because ${run.failing.reason}, and ends when nothing of it runs and what is held of rescue and always is decided${how}`;
}

const anyReported = (run: Run): boolean =>
  run.jobsHeld > 0 &&
  run.steps.some((step) => [...step.jobs.values()].some((job) => (job.disclosed?.outcome ?? null) !== null));

/** What an operator may type to let it go on. Another leader comes first: nothing else goes without one. */
function waysOn(run: Run): string {
  const due = electionsDue(run);
  const [first] = due;
  if (first === undefined) return `resume it with lockstep resume ${run.id}${resumeOption(run)}`;
  const again = `lockstep resume ${run.id} --retry-failed`;
  const what = describeElection(first);
  const isTold = run.hold?.reason.includes(what.slice(what.indexOf(' ') + 1)) === true;
  const prefix = isTold ? '' : `${what}; `;
  if (first.candidates.length === 0)
    return `${prefix}nobody else is left to lead ${first.role}${run.failing === null ? '' : `: run again what failed with ${again}`}`;
  const elect = `give ${first.role} another leader with lockstep resume ${run.id} ${electOption(first, due)}`;
  return `${prefix}${elect}${run.failing === null ? '' : ` and then --accept-failed, or run again what failed with ${again}`}`;
}

function resumeOption(run: Run): string {
  if (run.failing !== null) return ' --retry-failed|--accept-failed';
  const [kept] = slotsOfLeft(run);
  return kept === undefined ? '' : ' --accept-failed';
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

export function queueGate(state: State, run: Run, job: Job): Gate {
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
  const ahead = aheadInGroup(state, run);
  if (others.size === 0 && ahead !== undefined) {
    return {
      gate: 'queue',
      sentence: `waits for run ${ahead.id} (${ahead.pipeline.name}, ${runStateOf(ahead)}), which is before it in the concurrency group ${ahead.pipeline.concurrency?.group ?? ''}`,
      since: run.createdAt,
    };
  }
  const named = [...others].map(([id, nodes]) => `run ${id}, which has ${list(nodes)}`);
  return {
    gate: 'queue',
    sentence: `waits for ${named.join('; ') || 'its run to start'}`,
    since: run.createdAt,
  };
}
