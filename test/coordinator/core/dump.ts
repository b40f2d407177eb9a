/** The whole state as comparable JSON, counters included; without what is not part of the fold. */

import { fromShards } from '../../../coordinator/core/snapshot-reading.ts';
import { toShards } from '../../../coordinator/core/snapshot-writing.ts';
import type { Run, State } from '../../../coordinator/core/state.ts';

const derivedOf = (run: Run): unknown => ({
  membersAwaited: run.membersAwaited,
  jobsUnfinished: run.jobsUnfinished,
  jobsLive: run.jobsLive,
  jobsReady: run.jobsReady,
  jobsHeld: run.jobsHeld,
  jobsUnknown: run.jobsUnknown,
  jobsFailed: run.jobsFailed,
  jobsDeferred: run.jobsDeferred,
  approvalsPending: run.approvalsPending,
  unitsOverBudget: run.unitsOverBudget,
  ready: [...run.members].map(([name, member]) => [name, [...member.ready], [...member.deferred]]),
  units: run.units.map((unit) => ({
    failed: [...unit.failed].sort(),
    unknown: [...unit.unknown].sort(),
    unreachable: [...unit.unreachable].sort(),
    unavailable: [...unit.unavailable].sort(),
    byDomain: [...unit.unavailableByDomain].sort(),
    overBudget: unit.overBudget,
    live: [...unit.live].sort(),
    ready: unit.jobsReady,
    done: [...unit.done].sort(),
    waveUnfinished: unit.wave < 0 ? 0 : unit.waveUnfinished,
  })),
  steps: run.steps.map((step) => ({
    barriers: step.barriers,
    unfinished: step.jobsUnfinished,
    blockers: [...step.jobs].map(([node, job]) => [node, job.blockers]),
  })),
});

export function dumpState(state: State): string {
  const shards = [...toShards(state)];
  const derived = [...state.runs.values()].map((run) => [run.id, derivedOf(run)]);
  const live = [...state.nodes.values()].map((node) => [
    node.name,
    node.segment.map((job) => job.step.step.id),
  ]);
  const standings = [...state.standings].map(([cluster, { nodes, unavailable }]) => [
    cluster,
    [...nodes].map(({ name }) => name).sort(),
    [...unavailable].map(({ name }) => name).sort(),
  ]);
  return JSON.stringify({ shards, derived, live, standings }, null, 1);
}

/** Through the snapshot documents and back, as after a restart. */
export function throughSnapshot(state: State): State {
  const shards = new Map(toShards(state));
  return fromShards((name) => JSON.parse(JSON.stringify(shards.get(name))));
}
