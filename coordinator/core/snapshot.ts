/**
 * The state as JSON documents and back. Only what happened is written; counters, queues and deadlines are
 * derived again on the way back. Large things are cut into several documents, so that none takes long to
 * write. A reader knows every format that was ever written; the number grows when an old one would mislead.
 * Fields are added, and a reader does without those that it does not find.
 */
import { assert, present } from '../../shared/assert.ts';
import { deriveRun } from './derive.ts';
import { emptyState } from './empty.ts';
import { isKnownType } from './event-types.ts';
import type { StoredValue } from './events.ts';
import { layoutRun, newJob } from './layout.ts';
import type { OfferState } from './offer.ts';
import type {
  ArchivedRun,
  Endpoint,
  Job,
  Member,
  Node,
  Run,
  State,
  StepState,
  Token,
  UnitState,
} from './state.ts';

const snapshotFormat = 1;

const nodesPerShard = 500;
const jobsPerShard = 2_000;

type NodeDocument = Omit<
  Node,
  | 'features'
  | 'params'
  | 'queue'
  | 'deferredRuns'
  | 'segment'
  | 'attended'
  | 'awaitedBy'
  | 'credit'
  | 'lineage'
> & {
  readonly lineage?: string;
  readonly params: readonly (readonly [string, StoredValue])[];
  readonly features?: readonly string[];
  readonly queue: readonly string[];
  /** Absent in snapshots of old. */
  readonly deferredRuns?: readonly string[];
};

type OfferDocument = Omit<OfferState, 'taking' | 'failed'> & {
  readonly taking: readonly (readonly [string, number])[];
  readonly failed: readonly (readonly [string, string])[];
};

type JobDocument = Omit<Job, 'run' | 'step' | 'member' | 'executor' | 'blockers' | 'admitted'> & {
  /** Only when it is another node. */
  readonly executor?: string;
  readonly step: number;
  readonly node: string;
};

type UnitDocument = Pick<UnitState, 'approval' | 'nodes' | 'wave' | 'pauseUntil'> & {
  readonly domains: readonly (readonly [string, string])[] | null;
  readonly slots: readonly (readonly [string, number])[];
  readonly waveOf: readonly (readonly [string, number])[];
};

type StepDocument = Pick<StepState, 'opened'> & {
  readonly facts: readonly (readonly [string, string])[] | null;
};

const runFields = [
  'id',
  'cluster',
  'pipeline',
  'digest',
  'params',
  'limit',
  'checkOnly',
  'by',
  'createdSeq',
  'createdAt',
  'planned',
  'plannedAt',
  'startedAt',
  'end',
  'outcome',
  'cancel',
  'hold',
  'failing',
  'deferredAt',
  'pausedAt',
] as const satisfies readonly (keyof Run)[];

type RunDocument = Pick<Run, (typeof runFields)[number]> & {
  readonly roles: readonly {
    readonly name: string;
    readonly nodes: readonly string[];
    readonly leader: string | null;
  }[];
  readonly members: readonly (readonly [string, string | null, boolean])[];
  readonly units: readonly UnitDocument[];
  readonly steps: readonly StepDocument[];
  readonly jobShards: number;
};

type Head = {
  readonly format: number;
  readonly seq: number;
  readonly at: number;
  readonly lineage: string;
  readonly epoch: number;
  readonly version?: string;
  readonly types?: readonly string[];
  readonly offer?: OfferDocument;
  /** Absent in snapshots of versions that could not restore. */
  readonly restoration?: State['restoration'];
  readonly fence?: State['fence'];
  readonly runsCreated: number;
  readonly tokens: readonly Token[];
  readonly clusterParams: readonly (readonly [string, readonly (readonly [string, StoredValue])[]])[];
  readonly modules: readonly (readonly [string, string])[];
  readonly leaders: readonly (readonly [string, string])[];
  readonly services: readonly (readonly [string, readonly Endpoint[]])[];
  readonly archive: readonly ArchivedRun[];
  readonly nodeShards: number;
  readonly runs: readonly string[];
};

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
    leaders: [...state.leaders],
    services: [...state.services].map(([key, endpoints]) => [key, [...endpoints.values()]]),
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
    members: [...run.members.values()].map(({ node, out, accepted }) => [node.name, out, accepted]),
    units: run.units.map((unit) => ({
      approval: unit.approval,
      nodes: unit.nodes,
      wave: unit.wave,
      pauseUntil: unit.pauseUntil,
      domains: unit.domains === null ? null : [...unit.domains],
      slots: [...unit.slots],
      waveOf: [...unit.waveOf],
    })),
    steps: run.steps.map(({ opened, facts }) => ({ opened, facts: facts === null ? null : [...facts] })),
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
  for (const [key, node] of head.leaders) state.leaders.set(key, node);
  for (const [key, endpoints] of head.services) {
    state.services.set(key, new Map(endpoints.map((endpoint) => [endpoint.node, endpoint])));
  }
  for (const run of head.archive) state.archive.set(run.id, run);
  const queues = new Map<Node, NodeDocument>();
  for (let shard = 0; shard < head.nodeShards; shard += 1) {
    for (const document of read(`nodes-${shard}`) as readonly NodeDocument[]) {
      const { params, features = [] } = document;
      const node: Node = {
        ...document,
        features,
        lineage: document.lineage ?? head.lineage,
        params: new Map(params),
        queue: [],
        deferredRuns: [],
        segment: [],
        attended: [],
        awaitedBy: new Set(),
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
  restoreDeadlines(state);
  return state;
}

function readRun(state: State, id: string, read: (name: string) => unknown): void {
  const document = read(`run-${id}`) as RunDocument;
  const members = new Map(document.members.map(([node, out, accepted]) => [node, { out, accepted }]));
  const run: Run = {
    ...(Object.fromEntries(runFields.map((field) => [field, document[field]])) as Pick<
      Run,
      (typeof runFields)[number]
    >),
    // Absent in snapshots of old.
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
  }
  for (let shard = 0; shard < document.jobShards; shard += 1) {
    for (const { step, node, executor, ...fields } of read(
      `run-${id}-jobs-${shard}`,
    ) as readonly JobDocument[]) {
      const target = present(run.steps[step], 'step');
      const job = newJob(run, target, present(run.members.get(node), `member ${node}`), fields.since);
      if (executor !== undefined) job.executor = present(run.members.get(executor), `member ${executor}`);
      target.jobs.set(node, Object.assign(job, fields));
    }
  }
}

/** A node that was removed after the run had ended is shown as it was named. */
function memberFrom(
  state: State,
  name: string,
  stored: { out: string | null; accepted: boolean } | undefined,
): Member {
  const node = state.nodes.get(name) ?? removedNode(name);
  return { node, out: stored?.out ?? null, accepted: stored?.accepted ?? false, ready: [], deferred: [] };
}

const removedNode = (name: string): Node => ({
  name,
  incarnation: '',
  boot: '',
  counter: 0,
  machineId: null,
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
});

function restoreUnit(unit: UnitState, document: UnitDocument): void {
  Object.assign(unit, {
    approval: document.approval,
    nodes: document.nodes,
    rank: new Map(document.nodes.map((node, rank) => [node, rank])),
    domains: document.domains === null ? null : new Map(document.domains),
    wave: document.wave,
    pauseUntil: document.pauseUntil,
  });
  unit.waveOf.clear();
  for (const [node, wave] of document.waveOf) unit.waveOf.set(node, wave);
  for (const [node, at] of document.slots) unit.slots.set(node, at);
}

/** Contact timers are not restored: the reign that begins now starts them anew. */
function restoreDeadlines(state: State): void {
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
      if (unit.pauseUntil === 0) continue;
      state.deadlines.add({ at: unit.pauseUntil, kind: 'pause', run: run.id, unit: unit.index });
    }
  }
}
