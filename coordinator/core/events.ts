/**
 * What the journal holds: everything that happened, in the past tense, in one order. State is the fold of
 * these and nothing else, so an event carries all that folding needs; secrets are references, long values
 * digests. Old journals are read for ever: fields are added, never renamed or given a new meaning.
 */
import type { Outcome } from '../../shared/messages.ts';
import type { Pipeline } from '../../shared/pipeline/model.ts';
import type { AgentOffer } from './offer.ts';

/** A value as the journal holds it: itself, the digest of its JSON text, or a reference into the secret store. */
export type StoredValue =
  | { readonly value: unknown }
  | { readonly blob: string }
  | { readonly file: string }
  | { readonly secret: string };

/** The layer that a param's value came from; a node's own value stands between `cluster` and `run`. */
export type ParamLayer = 'default' | 'generated' | 'cluster' | 'run';

export type LayeredValue = { readonly from: ParamLayer; readonly value: StoredValue };

/** Who did something: `operator:<token name>`, `agent:<node>` or `coordinator`. */
export type Actor = string;

export type RolePlan = { readonly nodes: readonly string[]; readonly leader: string | null };

/** Whether an operator lets a node work; contact is another matter. */
export type NodeAdministration = 'in-service' | 'cordoned' | 'maintenance' | 'quarantined' | 'retired';

export type JobMode = 'normal' | 'verify-first' | 'check-only';

export type EventBody =
  // The coordinator itself
  | {
      readonly type: 'ReignBegan';
      readonly lineage: string;
      readonly epoch: number;
      readonly version: string;
      /** After a restore: the lineage that goes on as another one, and the last event that both have. */
      readonly continues?: { readonly lineage: string; readonly seq: number; readonly at: number };
    }
  /** A node has seen a reign that this one must give way to: nothing more is granted here. */
  | {
      readonly type: 'ReignFenced';
      readonly node: string;
      readonly lineage: string;
      readonly epoch: number;
    }
  // Nodes
  | {
      readonly type: 'TokenCreated';
      readonly token: string;
      /** SHA-256 of the secret, hex. (`hash` is the journal's own name for the link between lines.) */
      readonly secretHash: string;
      readonly kind: 'join' | 'operator';
      readonly by: Actor;
      readonly expiresAt: number | null;
    }
  | { readonly type: 'TokenRevoked'; readonly token: string; readonly by: Actor }
  | {
      readonly type: 'NodeJoined';
      readonly node: string;
      readonly incarnation: string;
      readonly machineId: string | null;
      readonly labels: Readonly<Record<string, string>>;
      readonly token: string;
    }
  | {
      readonly type: 'NodeConnected';
      readonly node: string;
      readonly boot: string;
      readonly counter: number;
      readonly version: string;
      readonly address: string | null;
      readonly diskless: boolean;
      readonly labels: Readonly<Record<string, string>>;
      /** What its agent can do that older ones cannot; absent when that is nothing. */
      readonly features?: readonly string[];
    }
  | { readonly type: 'NodeDisconnected'; readonly node: string; readonly reason: string }
  | { readonly type: 'NodeUnreachable'; readonly node: string; readonly since: number }
  | { readonly type: 'FactsReported'; readonly node: string; readonly digest: string }
  | {
      readonly type: 'NodeLabelled';
      readonly node: string;
      readonly set: Readonly<Record<string, string>>;
      readonly unset: readonly string[];
      readonly by: Actor;
    }
  | {
      readonly type: 'NodeAdministered';
      readonly node: string;
      readonly administration: NodeAdministration;
      readonly by: Actor;
      readonly reason: string;
    }
  | { readonly type: 'NodeRemoved'; readonly node: string; readonly by: Actor; readonly reason: string }
  | (AgentOffer & { readonly type: 'AgentOffered'; readonly by: Actor })
  | {
      readonly type: 'AgentUpgradeBegan';
      readonly node: string;
      readonly offer: number;
      readonly version: string;
    }
  | {
      readonly type: 'AgentUpgradeFailed';
      readonly node: string;
      readonly offer: number;
      readonly version: string;
      readonly digest: string;
      readonly reason: string;
    }
  // Params and modules
  | {
      readonly type: 'ParamSet';
      readonly scope: ParamScope;
      readonly name: string;
      readonly value: StoredValue;
      readonly by: Actor;
    }
  | { readonly type: 'ParamUnset'; readonly scope: ParamScope; readonly name: string; readonly by: Actor }
  | { readonly type: 'ModulePinned'; readonly module: string; readonly digest: string; readonly by: Actor }
  // Runs
  | {
      readonly type: 'RunCreated';
      readonly run: string;
      readonly cluster: string;
      readonly pipeline: Pipeline;
      readonly params: Readonly<Record<string, LayeredValue>>;
      readonly limit: string | null;
      readonly checkOnly: boolean;
      readonly by: Actor;
    }
  /** `digest` is over pipeline, params and nodes: what an approval is bound to. */
  | {
      readonly type: 'RunPlanned';
      readonly run: string;
      readonly digest: string;
      readonly roles: Readonly<Record<string, RolePlan>>;
    }
  | { readonly type: 'RunStarted'; readonly run: string }
  | {
      readonly type: 'ApprovalRequested';
      readonly run: string;
      readonly unit: string;
      readonly text: string;
      readonly digest: string;
    }
  | {
      readonly type: 'ApprovalGiven';
      readonly run: string;
      readonly unit: string;
      readonly digest: string;
      readonly by: Actor;
      readonly reason: string;
    }
  | {
      readonly type: 'ApprovalRejected';
      readonly run: string;
      readonly unit: string;
      readonly by: Actor;
      readonly reason: string;
    }
  | {
      readonly type: 'LeaderElected';
      readonly run: string;
      readonly cluster: string;
      readonly role: string;
      readonly node: string;
      readonly by: Actor;
      readonly reason: string;
    }
  | {
      readonly type: 'WaveOpened';
      readonly run: string;
      readonly unit: string;
      readonly wave: number;
      readonly nodes: readonly string[];
    }
  | { readonly type: 'SlotTaken'; readonly run: string; readonly unit: string; readonly node: string }
  | { readonly type: 'SlotReleased'; readonly run: string; readonly unit: string; readonly node: string }
  | {
      readonly type: 'RunFailing';
      readonly run: string;
      readonly unit: string;
      readonly reason: string;
      readonly hold: boolean;
    }
  /** `decision`: until an operator resumes it. `contact`: goes on by itself when enough nodes are back. */
  | {
      readonly type: 'RunHeld';
      readonly run: string;
      readonly needs: 'decision' | 'contact';
      readonly reason: string;
      /** Because the data was restored: the lineage that began then. */
      readonly restored?: string;
    }
  | {
      readonly type: 'RunResumed';
      readonly run: string;
      readonly how: 'continue' | 'retry-failed' | 'accept-failed' | 'elect' | 'as-reported';
      readonly by: Actor;
      readonly reason: string;
    }
  | { readonly type: 'RunCancelRequested'; readonly run: string; readonly by: Actor; readonly reason: string }
  /** What became of it is known; the steps of `finally` are run now, and then it ends like that. */
  | {
      readonly type: 'RunConcluded';
      readonly run: string;
      readonly state: 'succeeded' | 'failed' | 'cancelled';
      readonly reason: string;
    }
  | {
      readonly type: 'RunEnded';
      readonly run: string;
      readonly state: 'succeeded' | 'failed' | 'cancelled';
      readonly reason: string;
    }
  /** Nothing is left to do but deferred jobs: the run lets its nodes go, and takes each up again when it is back. */
  | { readonly type: 'RunDeferred'; readonly run: string; readonly reason: string }
  /** A node with deferred jobs of this run is back; it takes part in the run again until they are done. */
  | { readonly type: 'NodeReturned'; readonly run: string; readonly node: string }
  | { readonly type: 'RunArchived'; readonly run: string; readonly digest: string }
  | { readonly type: 'NodeLeft'; readonly run: string; readonly node: string; readonly reason: string }
  // Jobs
  | { readonly type: 'StepOpened'; readonly run: string; readonly step: string }
  | {
      readonly type: 'JobGranted';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly attempt: number;
      readonly attemptsMax: number;
      readonly mode: JobMode;
      /** The node that carries it out, when that is not the one that it is for. */
      readonly executor?: string;
      /** Attempt id of the job with which it was granted, whose success on the node is one of its gates. */
      readonly segment?: string;
      readonly task: number;
      readonly inputs: Readonly<Record<string, StoredValue>>;
      readonly provides?: {
        readonly service: string;
        readonly port: number | null;
        readonly address: string | null;
      };
    }
  | {
      readonly type: 'JobStarted';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly attempt: number;
      readonly nodeAt: number;
    }
  | {
      readonly type: 'AttemptEnded';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly attempt: number;
      readonly outcome: Outcome;
      readonly final: boolean;
      readonly unchanged: boolean;
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly reason: string | null;
      readonly iterations: number;
      readonly nodeStartedAt: number | null;
      readonly nodeFinishedAt: number | null;
      readonly durationMs: number;
      readonly outputs: Readonly<Record<string, StoredValue>>;
      readonly logs: { readonly stdout: number; readonly stderr: number };
      /** The node reboots: the job is done when it is back on another boot instance than this one. */
      readonly reboot?: { readonly boot: string };
    }
  /** `planned`: by the agent, for this job; null when nobody can tell, as on a diskless node. */
  | {
      readonly type: 'JobRebooted';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly boot: string;
      readonly planned: boolean | null;
    }
  /** A result of an attempt that is superseded or decided: recorded, never applied. */
  | {
      readonly type: 'StaleResultReported';
      readonly node: string;
      readonly attempt: string;
      readonly outcome: Outcome;
      readonly reason: string | null;
    }
  /**
   * A node tells of an attempt that this history does not know: it was granted in the part that a restore lost.
   * Never applied; its job, if there is one and it is open, is held for a decision.
   */
  | {
      readonly type: 'AttemptDisclosed';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly attempt: number;
      readonly state: 'accepted' | 'running' | 'ended';
      /** Null while it is not known (any more). */
      readonly outcome: Outcome | null;
    }
  | {
      readonly type: 'JobRequeued';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly mode: JobMode;
      readonly reason: string;
    }
  | {
      readonly type: 'JobSkipped';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly reason: string;
    }
  /** Its node is away; the others go on without it, and it is due until then. */
  | {
      readonly type: 'JobDeferred';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly until: number;
    }
  | {
      readonly type: 'JobFailed';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly reason: string;
    }
  | {
      readonly type: 'JobHeld';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly reason: string;
    }
  | {
      readonly type: 'JobUnknown';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly attempt: number;
      readonly since: number;
    }
  | {
      readonly type: 'JobFound';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly attempt: number;
    }
  | {
      readonly type: 'JobDecided';
      readonly run: string;
      readonly step: string;
      readonly node: string;
      readonly as: 'succeeded' | 'failed' | 'again';
      readonly by: Actor;
      readonly reason: string;
    }
  | {
      readonly type: 'ServiceProvided';
      readonly cluster: string;
      readonly service: string;
      readonly node: string;
      readonly port: number | null;
      readonly address: string | null;
      readonly run: string;
      readonly step: string;
    };

export type ParamScope = { readonly cluster: string } | { readonly node: string };

/** `at` is the coordinator's clock in ms since 1970; it never goes back within a journal. */
export type Event = EventBody & { readonly seq: number; readonly at: number };

export type EventType = EventBody['type'];
