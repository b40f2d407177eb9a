/**
 * What the core can be asked, and what it answers. A command is parsed and authenticated before it comes
 * here; time, ids and random bytes come with it. The answer is data: events to append, what must be stored
 * before them, and effects that may leave only after the fsync that covers the last event.
 */
import type { LockstepError } from '../../shared/errors.ts';
import type { AttemptResult, Hello, JobSpecification } from '../../shared/messages.ts';
import type { Amount, Pipeline } from '../../shared/pipeline/model.ts';
import type { Actor, NodeAdministration, ParamScope } from './event-values.ts';
import type { Event } from './events.ts';
import type { Expectation } from './expectation.ts';
import type { AgentOffer } from './offer.ts';
import type { Profile } from './profiles.ts';
import type { ReceiverRequest } from './receivers.ts';
import type { TriggerCause } from './triggers.ts';

export type CreateRun = {
  readonly type: 'CreateRun';
  readonly by: Actor;
  readonly cluster: string;
  readonly pipeline: Pipeline;
  /** Params of the run, the highest layer: already parsed from what was typed, by declared type. */
  readonly params: Readonly<Record<string, unknown>>;
  /** One random value for each param of the pipeline that can be generated. */
  readonly generated: Readonly<Record<string, string>>;
  /** `--limit`: CEL that narrows every role further; null for none. */
  readonly limit: string | null;
  /** `--check`: only the checks are executed. */
  readonly checkOnly: boolean;
  /** `--from`: the step or group to begin at; those before it are left out. Absent or null: the first. */
  readonly from?: string | null;
};

export type ResumeHow =
  | { readonly kind: 'continue' }
  | { readonly kind: 'retry-failed' }
  | { readonly kind: 'accept-failed' }
  /** Also decides held jobs by what their nodes told after a restore. */
  | { readonly kind: 'as-reported' }
  /** `role` may be left out when only one role has a leader. */
  | { readonly kind: 'elect'; readonly node: string; readonly role: string | null };

export type ProfileCommand =
  | (Omit<Profile, 'params'> & {
      readonly type: 'ApplyProfile';
      readonly params: Readonly<Record<string, unknown>>;
      /** Params too, whose values nobody is to see. */
      readonly secrets: Readonly<Record<string, unknown>>;
      readonly by: Actor;
    })
  | { readonly type: 'RemoveProfile'; readonly profile: string; readonly by: Actor };

export type TriggerCommand =
  | {
      readonly type: 'DeclareTrigger';
      readonly trigger: string;
      readonly on: TriggerCause;
      readonly atMostEveryMs: number;
      readonly onlyNew: boolean;
      /** What it starts; `by` is who declares it. */
      readonly starts: CreateRun;
    }
  | { readonly type: 'RemoveTrigger'; readonly trigger: string; readonly by: Actor }
  /** An operator wants its run now. */
  | { readonly type: 'FireTrigger'; readonly trigger: string; readonly by: Actor }
  /** Somebody outside who knows its key has called. */
  | { readonly type: 'MeetTrigger'; readonly trigger: string };

export type Command =
  | {
      readonly type: 'BeginReign';
      readonly lineage: string;
      readonly epoch: number;
      readonly version: string;
    }
  | {
      readonly type: 'ReportNewerReign';
      readonly node: string;
      readonly lineage: string;
      readonly epoch: number;
      readonly begunAt?: number | undefined;
    }
  | {
      readonly type: 'CreateToken';
      readonly token: string;
      readonly hash: string;
      readonly kind: 'join' | 'operator';
      readonly by: Actor;
      readonly expiresAt: number | null;
    }
  | { readonly type: 'RevokeToken'; readonly token: string; readonly by: Actor }
  | { readonly type: 'ConnectAgent'; readonly hello: Hello; readonly token: string }
  | {
      readonly type: 'DisconnectAgent';
      readonly node: string;
      readonly incarnation: string;
      readonly counter: number;
      readonly reason: string;
    }
  | { readonly type: 'OfferAgent'; readonly program: Omit<AgentOffer, 'offer'>; readonly by: Actor }
  | {
      readonly type: 'ReportUpgradeFailed';
      readonly node: string;
      readonly offer: number;
      readonly digest: string;
      readonly reason: string;
    }
  | { readonly type: 'ReportFacts'; readonly node: string; readonly digest: string }
  | { readonly type: 'PullJobs'; readonly node: string; readonly credit: number }
  | {
      readonly type: 'ReportStarted';
      readonly node: string;
      readonly attempt: string;
      readonly nodeAt: number;
    }
  | {
      readonly type: 'ReportResult';
      readonly node: string;
      readonly number: number;
      readonly result: AttemptResult;
    }
  | {
      readonly type: 'LabelNode';
      readonly node: string;
      readonly set: Readonly<Record<string, string>>;
      readonly unset: readonly string[];
      readonly by: Actor;
    }
  | {
      readonly type: 'AdministerNode';
      readonly node: string;
      readonly administration: NodeAdministration;
      readonly by: Actor;
      readonly reason: string;
    }
  | { readonly type: 'ExpectNodes'; readonly nodes: readonly Expectation[]; readonly by: Actor }
  | { readonly type: 'ReplaceNode'; readonly node: string; readonly by: Actor; readonly reason: string }
  | { readonly type: 'RemoveNode'; readonly node: string; readonly by: Actor; readonly reason: string }
  | {
      readonly type: 'SetParam';
      readonly scope: ParamScope;
      readonly name: string;
      readonly value: unknown;
      readonly secret: boolean;
      readonly by: Actor;
    }
  | { readonly type: 'UnsetParam'; readonly scope: ParamScope; readonly name: string; readonly by: Actor }
  | {
      readonly type: 'SetDisruptionBudget';
      readonly cluster: string;
      /** Null takes the budget away. */
      readonly maxUnavailable: Amount | null;
      readonly by: Actor;
    }
  | (ReceiverRequest & { readonly type: 'DeclareReceiver'; readonly by: Actor })
  | { readonly type: 'RemoveReceiver'; readonly receiver: string; readonly by: Actor }
  | ProfileCommand
  | TriggerCommand
  | { readonly type: 'PinModule'; readonly module: string; readonly digest: string; readonly by: Actor }
  | CreateRun
  | {
      readonly type: 'ApproveUnit';
      readonly run: string;
      readonly unit: string | null;
      readonly by: Actor;
      readonly reason: string;
    }
  | {
      readonly type: 'RejectUnit';
      readonly run: string;
      readonly unit: string | null;
      readonly by: Actor;
      readonly reason: string;
    }
  | { readonly type: 'CancelRun'; readonly run: string; readonly by: Actor; readonly reason: string }
  | {
      readonly type: 'ResumeRun';
      readonly run: string;
      readonly how: ResumeHow;
      readonly by: Actor;
      readonly reason: string;
    }
  | {
      readonly type: 'DecideJob';
      readonly job: string;
      readonly as: 'succeeded' | 'failed' | 'again';
      readonly by: Actor;
      readonly reason: string;
    }
  | { readonly type: 'ArchiveRun'; readonly run: string; readonly digest: string }
  /** Time passed: look at the deadlines. */
  | { readonly type: 'Tick' };

export type Effect =
  | { readonly kind: 'welcome'; readonly node: string; readonly factsWanted: boolean }
  | { readonly kind: 'reject'; readonly reason: string; readonly retryAfterMs: number | null }
  /** An older connection of the same incarnation was replaced. */
  | { readonly kind: 'disconnect'; readonly node: string; readonly counter: number; readonly reason: string }
  /** A segment: jobs that the node goes through in this order, each when the one before has succeeded there. */
  | { readonly kind: 'grant'; readonly node: string; readonly jobs: readonly GrantedJob[] }
  /** What of it has not begun is to come back. */
  | {
      readonly kind: 'recall';
      readonly node: string;
      readonly attempts: readonly string[];
      readonly reason: string;
    }
  | { readonly kind: 'cancel'; readonly node: string; readonly attempt: string; readonly reason: string }
  | { readonly kind: 'upgrade'; readonly node: string; readonly offer: AgentOffer }
  | { readonly kind: 'ack-results'; readonly node: string; readonly upTo: number };

/** A job for the wire in which secret inputs are still references; the gateway puts the values in. */
export type GrantedJob = Omit<JobSpecification, 'inputs'> & {
  readonly inputs: Readonly<Record<string, JobSpecification['inputs'][string] | { readonly secret: string }>>;
};

export type Decision =
  | {
      readonly ok: true;
      readonly events: readonly Event[];
      readonly effects: readonly Effect[];
      /** To be stored durably before the events are appended. */
      readonly secrets: readonly Secret[];
      readonly blobs: readonly { readonly digest: string; readonly text: string }[];
    }
  | { readonly ok: false; readonly error: LockstepError; readonly effects: readonly Effect[] };

/** A value that the journal holds only by reference; `value` is its JSON text. */
export type Secret = { readonly reference: string; readonly value: string };

/** What the store of secrets can take beyond what it holds and what is on its way to it. */
export type SecretRoom = { readonly count: number; readonly bytes: number };

/** Facts of one node as the agent reported them; shared and never changed. */
export type ScopeFacts = object;

/** What the core may look up while it decides: content that the state names but does not hold. */
export type Lookup = {
  /** Facts by digest, converted for expressions; undefined when a node has not reported yet. */
  readonly facts: (digest: string) => ScopeFacts | undefined;
  /** JSON text of a stored value by digest; throws `damaged` when it is lost. */
  readonly text: (digest: string) => string;
  /** The JSON text of a secret; throws `damaged` when it is lost. */
  readonly secret: (reference: string) => string;
  readonly secretRoom: () => SecretRoom;
  /** The end of what an attempt printed, at most so many bytes, in as far as it has arrived. */
  readonly logTail: (attempt: string, bytes: number) => string;
  /** `sha256:…` of a text. */
  readonly digestOf: (text: string) => string;
};
