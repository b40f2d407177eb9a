/**
 * The state as documents. Only what happened is written; counters, queues and deadlines are derived again on the
 * way back. Large things are cut into several documents, so that none takes long to write.
 */

import type { OfferState } from './offer.ts';
import {
  type Head,
  type JobDocument,
  type NodeDocument,
  type OfferDocument,
  type RunDocument,
  runFields,
  snapshotFormat,
} from './snapshot-documents.ts';
import type { Job, Node, Run, State } from './state.ts';

const nodesPerShard = 500;
const jobsPerShard = 2_000;

function* chunks<T>(items: readonly T[], size: number): Iterable<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/** Documents by name; the first is `head`, which says what the others are. */
export function* toShards(state: State): Iterable<readonly [string, unknown]> {
  const nodes = [...state.nodes.values()].map(nodeDocument);
  const head: Head = {
    format: snapshotFormat,
    seq: state.seq,
    at: state.at,
    lineage: state.lineage,
    epoch: state.epoch,
    version: state.version,
    ...(state.offer === null ? {} : { offer: offerDocument(state.offer) }),
    types: [...state.types],
    restoration: state.restoration,
    fence: state.fence,
    runsCreated: state.runsCreated,
    tokens: [...state.tokens.values()],
    clusterParams: [...state.clusterParams].map(([cluster, params]) => [cluster, [...params]]),
    modules: [...state.modules],
    ...(state.receivers.size === 0 ? {} : { receivers: [...state.receivers.values()] }),
    ...(state.expected.size === 0 ? {} : { expected: [...state.expected.values()] }),
    ...(state.profiles.size === 0 ? {} : { profiles: [...state.profiles.values()] }),
    ...(state.triggers.size === 0
      ? {}
      : { triggers: [...state.triggers.values()].map((one) => ({ ...one, joined: [...one.joined] })) }),
    leaders: [...state.leaders],
    services: [...state.services].map(([key, endpoints]) => [key, [...endpoints.values()]]),
    ...(state.budgets.size === 0 ? {} : { budgets: [...state.budgets] }),
    archive: [...state.archive.values()],
    nodeShards: Math.ceil(nodes.length / nodesPerShard),
    runs: [...state.runs.keys()],
  };
  yield ['head', head];
  let shard = 0;
  for (const part of chunks(nodes, nodesPerShard)) {
    yield [`nodes-${shard}`, part];
    shard += 1;
  }
  for (const run of state.runs.values()) yield* runShards(run);
}

const nodeDocument = ({
  segment: _segment,
  attended: _attended,
  awaitedBy: _awaitedBy,
  countsIn: _countsIn,
  credit: _credit,
  ...node
}: Node): NodeDocument => ({
  ...node,
  params: [...node.params],
  queue: node.queue.map((run) => run.id),
  deferredRuns: node.deferredRuns.map((run) => run.id),
});

const offerDocument = ({ taking, failed, ...offer }: OfferState): OfferDocument => ({
  ...offer,
  taking: [...taking],
  failed: [...failed],
});

function* runShards(run: Run): Iterable<readonly [string, unknown]> {
  const jobs = run.steps.flatMap((step) => [...step.jobs.values()].map(jobDocument));
  const document: RunDocument = {
    ...(Object.fromEntries(runFields.map((field) => [field, run[field]])) as Pick<
      Run,
      (typeof runFields)[number]
    >),
    roles: [...run.roles.values()],
    members: [...run.members.values()].map(({ node, out, accepted, agentVersion }) => [
      node.name,
      out,
      accepted,
      agentVersion,
    ]),
    units: run.units.map((unit) => ({
      approval: unit.approval,
      nodes: unit.nodes,
      wave: unit.wave,
      pauseUntil: unit.pauseUntil,
      ...(unit.window === null ? {} : { window: unit.window }),
      domains: unit.domains === null ? null : [...unit.domains],
      slots: [...unit.slots],
      waveOf: [...unit.waveOf],
    })),
    steps: run.steps.map(({ opened, facts, passedOn }) => ({
      opened,
      facts: facts === null ? null : [...facts],
      ...(passedOn.size === 0 ? {} : { passedOn: [...passedOn.values()].map(jobDocument) }),
    })),
    jobShards: Math.ceil(jobs.length / jobsPerShard),
  };
  yield [`run-${run.id}`, document];
  let shard = 0;
  for (const part of chunks(jobs, jobsPerShard)) {
    yield [`run-${run.id}-jobs-${shard}`, part];
    shard += 1;
  }
}

const jobDocument = ({
  run: _run,
  step,
  member,
  executor,
  blockers: _blockers,
  admitted: _admitted,
  ...job
}: Job): JobDocument => ({
  ...job,
  step: step.index,
  node: member.node.name,
  ...(executor === null ? {} : { executor: executor.node.name }),
});
