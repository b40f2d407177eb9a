/** The state from its documents. What is derived, queues and deadlines, is made anew. */
import { assert, present } from '../../shared/assert.ts';
import { deriveRun } from './derive.ts';
import { deriveStandings } from './disruption.ts';
import { emptyState } from './empty.ts';
import { isKnownType } from './event-types.ts';
import { keepExpectation } from './evolve-expectations.ts';
import { layoutRun, newJob } from './layout.ts';
import {
  type Head,
  type JobDocument,
  type NodeDocument,
  type RunDocument,
  runFields,
  snapshotFormat,
  type UnitDocument,
} from './snapshot-documents.ts';
import type { Job, Member, Node, Run, State, UnitState } from './state.ts';

/** Why this version cannot go on from a snapshot that a newer one made; undefined when it can. */
export function refusalOf(head: unknown): string | undefined {
  const { format, version = 'unknown', types = [] } = head as Pick<Head, 'format' | 'version' | 'types'>;
  if (format > snapshotFormat)
    return `it has format ${format} and this version knows up to ${snapshotFormat}; version ${version} had written it`;
  const unknown = types.filter((type) => !isKnownType(type));
  if (unknown.length === 0) return undefined;
  return `it rests on events of types that this version does not know (${unknown.join(', ')}); version ${version} had written it`;
}

/**
 * The state from its documents. `read` gives the document of a name; documents are trusted, as their
 * checksums were verified by whoever read them.
 */
export function fromShards(read: (name: string) => unknown): State {
  const head = read('head') as Head;
  assert(head.format === snapshotFormat, `snapshot format ${head.format}`);
  const state = emptyState();
  state.seq = head.seq;
  state.at = head.at;
  state.lineage = head.lineage;
  state.epoch = head.epoch;
  state.version = head.version ?? '';
  for (const type of head.types ?? []) if (isKnownType(type)) state.types.add(type);
  state.restoration = head.restoration ?? null;
  state.fence = head.fence ?? null;
  state.runsCreated = head.runsCreated;
  if (head.offer !== undefined)
    state.offer = { ...head.offer, taking: new Map(head.offer.taking), failed: new Map(head.offer.failed) };
  for (const token of head.tokens) state.tokens.set(token.id, { ...token });
  for (const [cluster, params] of head.clusterParams) state.clusterParams.set(cluster, new Map(params));
  for (const [name, digest] of head.modules) state.modules.set(name, digest);
  for (const profile of head.profiles ?? []) state.profiles.set(profile.profile, profile);
  for (const trigger of head.triggers ?? [])
    state.triggers.set(trigger.trigger, { ...trigger, joined: new Set(trigger.joined) });
  for (const receiver of head.receivers ?? []) state.receivers.set(receiver.receiver, receiver);
  for (const expected of head.expected ?? []) keepExpectation(state, expected);
  for (const [key, node] of head.leaders) state.leaders.set(key, node);
  for (const [key, endpoints] of head.services) {
    state.services.set(key, new Map(endpoints.map((endpoint) => [endpoint.node, endpoint])));
  }
  for (const [cluster, budget] of head.budgets ?? []) state.budgets.set(cluster, budget);
  for (const run of head.archive) state.archive.set(run.id, run);
  const queues = new Map<Node, NodeDocument>();
  for (let shard = 0; shard < head.nodeShards; shard += 1) {
    for (const document of read(`nodes-${shard}`) as readonly NodeDocument[]) {
      const { params, features = [] } = document;
      const node: Node = {
        ...document,
        ...unknownOfOld(document),
        features,
        lineage: document.lineage ?? head.lineage,
        params: new Map(params),
        queue: [],
        deferredRuns: [],
        segment: [],
        attended: [],
        awaitedBy: new Set(),
        countsIn: null,
        credit: 0,
      };
      state.nodes.set(node.name, node);
      queues.set(node, document);
    }
  }
  for (const id of head.runs) readRun(state, id, read);
  const runOf = (id: string): Run => present(state.runs.get(id), `run ${id}`);
  for (const [node, { queue, deferredRuns = [] }] of queues) {
    node.queue.push(...queue.map(runOf));
    node.deferredRuns.push(...deferredRuns.map(runOf));
  }
  for (const run of state.runs.values()) deriveRun(run);
  deriveStandings(state);
  restoreDeadlines(state);
  return state;
}

/** What snapshots of old do not tell of a node. */
const unknownOfOld = (document: NodeDocument) => ({
  hardware: document.hardware ?? null,
  incarnationSince: document.incarnationSince ?? document.joinedAt,
  formers: document.formers ?? [],
  vacancy: document.vacancy ?? null,
  unmet: document.unmet ?? null,
  administrationBy: document.administrationBy ?? '',
  administrationSince: document.administrationSince ?? null,
});

function readRun(state: State, id: string, read: (name: string) => unknown): void {
  const document = read(`run-${id}`) as RunDocument;
  const members = new Map(
    document.members.map(([node, out, accepted, agentVersion]) => [node, { out, accepted, agentVersion }]),
  );
  const run: Run = {
    ...(Object.fromEntries(runFields.map((field) => [field, document[field]])) as Pick<
      Run,
      (typeof runFields)[number]
    >),
    // Absent in snapshots of old.
    plannedSeq: document.plannedSeq ?? 0,
    from: document.from ?? null,
    deferredAt: document.deferredAt ?? null,
    outcome: document.outcome ?? null,
    roles: new Map(document.roles.map((role) => [role.name, { ...role }])),
    members: new Map(),
    units: [],
    steps: [],
    stepIndex: new Map(),
    membersAwaited: 0,
    jobsUnfinished: 0,
    jobsLive: 0,
    jobsReady: 0,
    jobsHeld: 0,
    jobsUnknown: 0,
    jobsFailed: 0,
    jobsDeferred: 0,
    jobsAftermath: 0,
    approvalsPending: 0,
    unitsOverBudget: 0,
    recallDue: false,
  };
  state.runs.set(id, run);
  if (run.end === null) state.activeRuns.set(id, run);
  if (!run.planned) return;
  layoutRun(run, (name) => memberFrom(state, name, members.get(name)), run.plannedAt ?? run.createdAt);
  for (const [index, unit] of document.units.entries()) restoreUnit(present(run.units[index], 'unit'), unit);
  for (const [index, step] of document.steps.entries()) {
    const target = present(run.steps[index], 'step');
    target.opened = step.opened;
    target.facts = step.facts === null ? null : new Map(step.facts);
    target.jobs.clear();
    for (const document of step.passedOn ?? []) target.passedOn.set(document.node, jobFrom(run, document));
  }
  for (let shard = 0; shard < document.jobShards; shard += 1) {
    for (const document of read(`run-${id}-jobs-${shard}`) as readonly JobDocument[])
      present(run.steps[document.step], 'step').jobs.set(document.node, jobFrom(run, document));
  }
}

function jobFrom(run: Run, { step, node, executor, ...fields }: JobDocument): Job {
  const target = present(run.steps[step], 'step');
  const job = newJob(run, target, present(run.members.get(node), `member ${node}`), fields.since);
  if (executor !== undefined) job.executor = present(run.members.get(executor), `member ${executor}`);
  return Object.assign(job, fields);
}

/** A node that was removed after the run had ended is shown as it was named. */
function memberFrom(
  state: State,
  name: string,
  stored: { out: string | null; accepted: boolean; agentVersion: string | undefined } | undefined,
): Member {
  const node = state.nodes.get(name) ?? removedNode(name);
  return {
    node,
    agentVersion: stored?.agentVersion ?? node.version,
    out: stored?.out ?? null,
    accepted: stored?.accepted ?? false,
    ready: [],
    deferred: [],
  };
}

const removedNode = (name: string): Node => ({
  name,
  incarnation: '',
  boot: '',
  counter: 0,
  machineId: null,
  hardware: null,
  incarnationSince: 0,
  formers: [],
  vacancy: null,
  unmet: null,
  version: '',
  features: [],
  address: null,
  diskless: false,
  agentLabels: {},
  operatorLabels: {},
  labels: {},
  factsDigest: null,
  params: new Map(),
  administration: 'retired',
  administrationReason: 'removed',
  administrationBy: '',
  administrationSince: null,
  contact: 'unreachable',
  contactSince: 0,
  joinedAt: 0,
  lineage: '',
  credit: 0,
  queue: [],
  deferredRuns: [],
  segment: [],
  attended: [],
  awaitedBy: new Set(),
  countsIn: null,
});

function restoreUnit(unit: UnitState, document: UnitDocument): void {
  Object.assign(unit, {
    approval: document.approval,
    nodes: document.nodes,
    rank: new Map(document.nodes.map((node, rank) => [node, rank])),
    domains: document.domains === null ? null : new Map(document.domains),
    wave: document.wave,
    window: document.window ?? null,
    pauseUntil: document.pauseUntil,
  });
  unit.waveOf.clear();
  for (const [node, wave] of document.waveOf) unit.waveOf.set(node, wave);
  for (const [node, at] of document.slots) unit.slots.set(node, at);
}

/** Contact timers are not restored: the reign that begins now starts them anew. */
function restoreDeadlines(state: State): void {
  for (const { trigger, nextAt } of state.triggers.values())
    if (nextAt !== null) state.deadlines.add({ at: nextAt, kind: 'trigger', trigger });
  for (const run of state.activeRuns.values()) {
    for (const role of Object.values(run.pipeline.roles)) {
      if (run.planned || role.waitForMs === undefined) continue;
      state.deadlines.add({ at: run.createdAt + role.waitForMs, kind: 'gather', run: run.id });
    }
    for (const { member, executor, reboot, deferred } of run.steps.flatMap((step) => [
      ...step.jobs.values(),
    ])) {
      const node = member.node.name;
      if (deferred !== null) state.deadlines.add({ at: deferred.until, kind: 'deferral', run: run.id, node });
      if (reboot === null) continue;
      state.deadlines.add({ at: reboot.until, kind: 'reboot', node: executor?.node.name ?? node });
    }
    for (const unit of run.units) {
      if (unit.window?.until != null)
        state.deadlines.add({ at: unit.window.until, kind: 'window', run: run.id, unit: unit.index });
      if (unit.pauseUntil === 0) continue;
      state.deadlines.add({ at: unit.pauseUntil, kind: 'pause', run: run.id, unit: unit.index });
    }
  }
}
