/**
 * Everything the coordinator knows, as the fold of the journal. Facts of a run (what happened) are stored;
 * counters, queues and indexes over them are derived: `derive.ts` can compute them from the facts at any
 * time, and evolve keeps them up to date one event at a time, so that no decision has to scan nodes or jobs.
 *
 * State is changed in place, by evolve only. Copying it at tens of thousands of events a second would cost
 * more than everything else together.
 */

import type { Hardware, Mark } from '../../shared/hardware.ts';
import type { Outcome } from '../../shared/messages.ts';
import type { Amount, Pipeline, Step, Unit } from '../../shared/pipeline/model.ts';
import type { Opening } from '../../shared/window.ts';
import type { Deadlines } from './deadlines.ts';
import type { JobMode, LayeredValue, NodeAdministration, StoredValue } from './event-values.ts';
import type { EventType } from './events.ts';
import type { ExpectedNode, Former, Vacancy } from './expectation.ts';
import type { Missed } from './job-events.ts';
import type { Disclosure, Grant, JobState } from './job-state.ts';
import type { OfferState } from './offer.ts';
import type { ProfileState } from './profiles.ts';
import type { ReceiverState } from './receivers.ts';
import type { Fence, Restoration } from './reign.ts';
import type { ApprovalState, ArchivedRun, RoleState, RunEnd, UnitLimits, Waiting } from './run-parts.ts';
import type { TriggerState } from './triggers.ts';

export type State = {
  seq: number;
  /** Time of the last event, ms since 1970. */
  at: number;
  lineage: string;
  epoch: number;
  /** The version of the coordinator that reigns, or reigned last. */
  version: string;
  /** Types of event that were ever folded into this state: whoever does not know one of them cannot go on from it. */
  readonly types: Set<EventType>;
  /** Null for a lineage that did not begin with a restore. */
  restoration: Restoration | null;
  /** A newer reign was seen by a node: nothing is granted here any more. */
  fence: Fence | null;
  readonly tokens: Map<string, Token>;
  readonly nodes: Map<string, Node>;
  /** By name, also of nodes that are there. */
  readonly expected: Map<string, ExpectedNode>;
  /** Who is expected by each mark. Derived. */
  readonly expectedMarks: Map<Mark, string>;
  readonly clusterParams: Map<string, Map<string, StoredValue>>;
  /** `module@version` → digest. */
  readonly modules: Map<string, string>;
  /** Who is told of what happens, by name. */
  readonly receivers: Map<string, ReceiverState>;
  /** Params that apply where they match; by name, in the order in which they are laid over each other. */
  readonly profiles: Map<string, ProfileState>;
  /** What starts runs by itself, by name. */
  readonly triggers: Map<string, TriggerState>;
  /** `cluster/role` → node. */
  readonly leaders: Map<string, string>;
  /** `cluster/service` → node → endpoint. */
  readonly services: Map<string, Map<string, Endpoint>>;
  /** Runs that are not archived, by id in order of creation. */
  readonly runs: Map<string, Run>;
  /** What is left of archived runs. */
  readonly archive: Map<string, ArchivedRun>;
  /** By cluster; none where an operator has set none. */
  readonly budgets: Map<string, DisruptionBudget>;
  /** By cluster, of those that have nodes. Derived. */
  readonly standings: Map<string, Standing>;
  /** The last one that an operator made. */
  offer: OfferState | null;
  runsCreated: number;
  /** Runs that are neither ended nor archived, in order of creation. */
  readonly activeRuns: Map<string, Run>;
  readonly deadlines: Deadlines;
  /** What `progress` has to look at. Not part of the fold: after recovery everything is looked at once. */
  readonly agenda: Agenda;
};

export type DisruptionBudget = { readonly maxUnavailable: Amount; readonly by: string; readonly at: number };

/** The nodes of a cluster, and those of them that are unavailable from whatever cause. */
export type Standing = { readonly nodes: Set<Node>; readonly unavailable: Set<Node> };

export type Token = {
  readonly id: string;
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  readonly kind: 'join' | 'operator';
  readonly createdAt: number;
  readonly expiresAt: number | null;
  revoked: boolean;
};

export type Node = {
  readonly name: string;
  incarnation: string;
  boot: string;
  counter: number;
  machineId: string | null;
  /** Null when its agent does not tell. */
  hardware: Hardware | null;
  /** When this incarnation joined, ms since 1970. */
  incarnationSince: number;
  /** Incarnations that had the name before, oldest first. */
  formers: readonly Former[];
  /** Null while a machine is this node. */
  vacancy: Vacancy | null;
  /** Why no expectation was met although some could have been; else null. */
  unmet: string | null;
  version: string;
  /** What its agent can do that older ones cannot. */
  features: readonly string[];
  address: string | null;
  diskless: boolean;
  /** Labels the agent brought; those that are expected win over them, and operators' labels over both. */
  agentLabels: Readonly<Record<string, string>>;
  operatorLabels: Readonly<Record<string, string>>;
  labels: Readonly<Record<string, string>>;
  factsDigest: string | null;
  readonly params: Map<string, StoredValue>;
  administration: NodeAdministration;
  administrationReason: string;
  /** Who said so and when; empty and null of old. */
  administrationBy: string;
  administrationSince: number | null;
  /** `unreachable`: away for longer than `unknownAfter`. */
  contact: 'connected' | 'disconnected' | 'unreachable';
  /** When contact last changed, ms since 1970. */
  contactSince: number;
  readonly joinedAt: number;
  /** In which it connected last; before the first time, none. A node tells once in each what it did in others. */
  lineage: string;
  /** Jobs that the agent asked for and has not been granted. Dies with the connection; never journaled. */
  credit: number;
  /** Runs that want this node, in order; the first one has it. */
  readonly queue: Run[];
  /** Runs that are done but for deferred jobs, and have let this node go; they stand in line when it owes them one. */
  readonly deferredRuns: Run[];
  /** The jobs that the node has been granted and has not ended, in the order in which it goes through them. */
  readonly segment: Job[];
  /** Live jobs that others carry out for this node, alone or with its role: nothing else is done for it meanwhile. */
  readonly attended: Job[];
  /** Nodes with jobs that wait for this one: to carry them out, or as one that they are for too. Not part of the fold. */
  readonly awaitedBy: Set<Node>;
  /** The cluster whose disruption budget counts it; null when none does. Derived. */
  countsIn: string | null;
};

export type Endpoint = {
  readonly node: string;
  readonly address: string | null;
  readonly port: number | null;
  readonly run: string;
  readonly step: string;
};

export type Run = {
  readonly id: string;
  readonly cluster: string;
  readonly pipeline: Pipeline;
  /** SHA-256 of pipeline, params and roles: what an approval is bound to; empty until planned. */
  digest: string;
  readonly params: Readonly<Record<string, LayeredValue>>;
  readonly limit: string | null;
  readonly checkOnly: boolean;
  /** The step or group that it begins at; null for the first. */
  from: string | null;
  readonly by: string;
  readonly createdSeq: number;
  readonly createdAt: number;
  /** False while a role waits for its nodes. */
  planned: boolean;
  /** The order in which runs stand in line, for their nodes and in their group; 0 until planned. */
  plannedSeq: number;
  plannedAt: number | null;
  startedAt: number | null;
  end: RunEnd | null;
  /** How it will end, while the steps of `finally` are run; null before, and for ever without such steps. */
  outcome: RunEnd | null;
  cancel: {
    readonly by: string;
    readonly reason: string;
    readonly at: number;
    /** The run that takes its place: what is live may end by itself. */
    readonly replacedBy?: string;
    /** Said twice: what stands in `rescue` and `always` is given up, too. */
    readonly wholly?: true;
  } | null;
  hold: {
    readonly needs: 'decision' | 'contact';
    readonly reason: string;
    readonly at: number;
    /** Until an operator has seen what the nodes did that this lineage does not know. */
    readonly restored?: string;
  } | null;
  /** A unit had more failures than allowed: nothing more is granted. */
  failing: {
    readonly unit: string;
    readonly reason: string;
    readonly hold: boolean;
    readonly at: number;
  } | null;
  /** Since when only deferred jobs are left; null before. */
  deferredAt: number | null;
  readonly roles: Map<string, RoleState>;
  readonly members: Map<string, Member>;
  readonly units: UnitState[];
  readonly steps: StepState[];
  readonly stepIndex: Map<string, number>;

  // Derived
  /** Members at whose head of queue this run is not yet. */
  membersAwaited: number;
  jobsUnfinished: number;
  /** Granted, running or unknown. */
  jobsLive: number;
  jobsReady: number;
  jobsHeld: number;
  jobsUnknown: number;
  jobsFailed: number;
  /** Deferred, or due again and not finished. */
  jobsDeferred: number;
  /** Of `rescue` and `always`: those whose turn it is. */
  jobsAftermath: number;
  approvalsPending: number;
  /** Units over their budget of unknown or unreachable nodes; the run is paused while there are any. */
  unitsOverBudget: number;
  pausedAt: number | null;
  /** A segment may have jobs that did not begin and are to come back when the run stops. Not part of the fold. */
  recallDue: boolean;
};

export type Member = {
  readonly node: Node;
  /** The version of its agent when the run was planned. */
  readonly agentVersion: string;
  /** Why the node takes no further part, if so. */
  out: string | null;
  /** Its failures were accepted by an operator and no longer count against a budget. */
  accepted: boolean;
  /** Indexes of steps whose job here is ready, ascending. Derived. */
  readonly ready: number[];
  /** The same for jobs that were deferred and are not finished. Derived. */
  readonly deferred: number[];
};

export type UnitState = {
  readonly index: number;
  readonly unit: Unit;
  readonly firstStep: number;
  readonly lastStep: number;
  approval: ApprovalState;
  /** In order of preference: by failure domain, then by name. */
  readonly nodes: readonly string[];
  readonly rank: ReadonlyMap<string, number>;
  /** Failure domain of each node as it was when the run was planned; null when the strategy names no label. */
  readonly domains: ReadonlyMap<string, string> | null;
  /** Nodes that hold a slot, with when they took it. */
  readonly slots: Map<string, number>;
  /** Ordinal of the wave that is open, from 0; -1 before the first. */
  wave: number;
  readonly waveOf: Map<string, number>;
  /** Whether its window is open, and until when, as far as anybody has looked; null without a window, too. */
  window: Opening | null;
  /** No slot before this time (a pause after the last one was released). */
  pauseUntil: number;

  // Derived
  readonly failed: Set<string>;
  readonly unknown: Set<string>;
  /** Nodes whose ready job here cannot be granted because they are unreachable. */
  readonly unreachable: Set<string>;
  overBudget: boolean;
  /** Nodes with live jobs here, and how many each has. */
  readonly live: Map<string, number>;
  jobsReady: number;
  /** Nodes that have nothing left to do here. */
  readonly done: Set<string>;
  waveUnfinished: number;
  /** Nodes that are unavailable, from whatever cause; only for rolling units. */
  readonly unavailable: Set<string>;
  readonly unavailableByDomain: Map<string, number>;
  readonly limits: UnitLimits;
  /** Nodes that could start here and wait for a slot or for `maxParallel`. Not part of the fold. */
  readonly waiting: Waiting;
};

export type StepState = {
  readonly index: number;
  readonly unit: UnitState;
  readonly step: Step;
  readonly jobs: Map<string, Job>;
  /** Jobs that an election took from their nodes: elected again, a node goes on counting its attempts. */
  readonly passedOn: Map<string, Job>;
  /** Steps that need this one. */
  readonly dependents: readonly { readonly step: number; readonly sameNode: boolean }[];
  opened: boolean;
  /** Facts of the members as they were when the step was opened, by node; one view for all its jobs. */
  facts: ReadonlyMap<string, string> | null;

  // Derived
  /** Needed steps that are not finished on every node. */
  barriers: number;
  jobsUnfinished: number;
};

export type Job = {
  readonly run: Run;
  readonly step: StepState;
  /** The node that it is done for. */
  readonly member: Member;
  /** Who has its last attempt, when that is another node. */
  executor: Member | null;
  state: JobState;
  /** Since when it is in this state, ms since 1970. */
  since: number;
  /** Number of the last attempt that was granted or begun; 0 before the first. */
  attempt: number;
  /** Highest attempt whose end is in the journal: a result up to it was applied before. */
  endedAttempt: number;
  /** Seq at which it was granted last: the order of the jobs in a segment. 0 before the first. */
  grantedSeq: number;
  /** Length of each log stream of that attempt, so that a reader knows when it has read all. */
  logs: { readonly stdout: number; readonly stderr: number } | null;
  /** How the next grant has to be executed. */
  mode: JobMode;
  grant: Grant | null;
  /** It was deferred: nobody waits for it, and it may still run until then. Null again when it is finished. */
  deferred: { readonly until: number } | null;
  /** When it was deferred first, for ever after. */
  deferredSince: number | null;
  /** Why it was given up after that. */
  missed: Missed | null;
  /** Its work is done, and its node is to come back from the reboot that it asked for, until then. */
  reboot: { readonly boot: string; readonly until: number } | null;
  /** State before contact was lost, while `unknown`. */
  lostAs: 'granted' | 'running' | null;
  startedAt: number | null;
  finishedAt: number | null;
  outcome: Outcome | null;
  unchanged: boolean;
  exitCode: number | null;
  signal: string | null;
  reason: string | null;
  durationMs: number | null;
  outputs: Readonly<Record<string, StoredValue>> | null;
  /** What the last attempt told of its parts, if anything; absent in snapshots of old. */
  parts?: StoredValue | undefined;
  /** What its node told of it after a restore, until that is decided. */
  disclosed: Disclosure | null;

  // Derived
  /** Needed jobs of the same node that are not finished. */
  blockers: number;
  /** `if` was evaluated and holds. Not part of the fold. */
  admitted: boolean;
};

export type Agenda = {
  /** Nodes that may be able to take a job. In order of insertion. */
  readonly nodes: Set<Node>;
  /** Units in which a slot, a wave or a place may be free. */
  readonly units: Map<UnitState, Run>;
  /** Runs that may start, end, be held or go on. */
  readonly runs: Set<Run>;
  /** Jobs with which their node has finished a rolling unit, so that its slot can be given back. */
  readonly slots: Set<Job>;
  /** Nodes that changed while some run waits for nodes. */
  readonly gathering: Set<string>;
  /** Triggers that may have something to start. */
  readonly triggers: Set<string>;
  /** Something changed that may let a node take the agent that is offered. */
  offer: boolean;
};

/** Whether the run as a whole lets new work begin. */
export const isOpen = (run: Run): boolean =>
  run.startedAt !== null &&
  run.end === null &&
  run.hold === null &&
  run.cancel === null &&
  (run.outcome !== null || (run.failing === null && run.unitsOverBudget === 0));

/**
 * Whether what is done after steps may begin: also while the run fails or is cancelled. While it is held for another
 * reason, somebody has still to decide how those steps end.
 */
export const mayFollowUp = (run: Run): boolean =>
  run.startedAt !== null &&
  run.end === null &&
  run.outcome === null &&
  (run.cancel === null ? run.hold === null || run.failing !== null : run.cancel.wholly !== true);

export const leaderKeyOf = (cluster: string, role: string): string => `${cluster}/${role}`;

export const clusterOf = (node: Node): string => clusterOfLabels(node.labels);

export const clusterOfLabels = (labels: Readonly<Record<string, string>>): string =>
  labels.cluster ?? 'default';
