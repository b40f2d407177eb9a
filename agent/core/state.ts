/**
 * The state of an agent, what can happen to it, and what it asks of the world, as data. Rules do not belong
 * here: they are in link.ts (what the coordinator says) and attempt.ts (what becomes of a job).
 */
import type {
  AgentMessage,
  AttemptResult,
  CoordinatorMessage,
  Hello,
  Script,
} from '../../shared/messages.ts';
import type { Instant, Job, Ledger, LedgerRecord } from './ledger.ts';
import type { Execution, NodeValues, Phase, Progress } from './next-step.ts';
import type { OutputBytes, OutputValue } from './outputs.ts';
import type { PartBytes } from './parts.ts';

/** Durable before the `hello` that carries it: a counter used twice is taken for a clone. */
export type Identity = {
  readonly incarnation: string;
  readonly counter: number;
  /** The highest epoch seen of each lineage, the lineage seen last at the end. */
  readonly epochs: readonly SeenReign[];
  /** The name that a coordinator gave this host instead of the one that it was started with. */
  readonly given?: { readonly asked: string; readonly name: string } | undefined;
};

export type SeenReign = {
  readonly lineage: string;
  readonly epoch: number;
  /** Both absent for a lineage that did not begin with a restore: it is its own root, and older than all others. */
  readonly root?: string | undefined;
  readonly begunAt?: number | undefined;
};

export type Link =
  | { readonly kind: 'down' }
  | {
      readonly kind: 'greeting';
      readonly lineage: string;
      readonly epoch: number;
      /** Lineages that this one continues: what was done for them counts. */
      readonly ancestors: readonly string[];
    }
  | {
      readonly kind: 'joined';
      readonly lineage: string;
      readonly epoch: number;
      readonly ancestors: readonly string[];
      /** Results up to this number were sent on this connection. */
      readonly sentUpTo: number;
      /** The result whose files are being uploaded; it and those after it wait. */
      readonly uploading: number | null;
      /** Whether the coordinator holds our credit of one job. */
      readonly pulled: boolean;
    };

/**
 * `taking`: another version is fetched and looked at. `taken`: it waits for its trial. `on-trial`: this process is that other version, and nothing
 * new is begun. `leaving`: the process ends for another program, here or at the end of its trial.
 */
export type Upgrade = 'none' | 'taking' | 'taken' | 'on-trial' | 'leaving';

export type Offer = {
  readonly offer: number;
  readonly version: string;
  readonly digest: string;
  readonly healthyWithinMs: number;
};

export type FailedUpgrade = { readonly offer: number; readonly digest: string; readonly reason: string };

/** Why the running attempt is being ended before it came to its own end. */
export type Stop =
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'verify-timed-out' }
  | { readonly kind: 'cancelled'; readonly reason: string };

/** A result but for the lengths of logs and the digests of files, which are still to be collected. */
export type Ending = Pick<AttemptResult, 'outcome' | 'unchanged' | 'reason' | 'iterations' | 'parts'> & {
  readonly last: Execution | null;
  readonly outputs: Readonly<Record<string, OutputValue>>;
  readonly files: Readonly<Record<string, string>>;
  readonly reboot: boolean;
};

/** What becomes of the first job of the ledger. */
export type Activity =
  | { readonly kind: 'idle' }
  | { readonly kind: 'recovering'; readonly attempt: string; readonly stop: Stop | null }
  | { readonly kind: 'preparing'; readonly attempt: string; readonly stop: Stop | null }
  | {
      readonly kind: 'executing';
      readonly attempt: string;
      readonly progress: Progress;
      readonly params: NodeValues['params'];
      readonly number: number;
      readonly phase: Phase;
      readonly startedMs: number;
      readonly stop: Stop | null;
    }
  | {
      readonly kind: 'pausing';
      readonly attempt: string;
      readonly progress: Progress;
      readonly params: NodeValues['params'];
      readonly untilMs: number;
    }
  | { readonly kind: 'collecting'; readonly attempt: string; readonly ending: Ending };

/** What does not change while the process lives. */
export type HostTraits = {
  readonly boot: string;
  /** The state folder does not survive a reboot. */
  readonly diskless: boolean;
  readonly mayReboot: boolean;
};

export type AgentState = {
  readonly node: NodeValues['node'];
  readonly host: HostTraits;
  readonly identity: Identity;
  readonly ledger: Ledger;
  readonly link: Link;
  readonly activity: Activity;
  /** Numbers of results whose files are known to be at a coordinator of the lineage seen last. */
  readonly uploaded: readonly number[];
  /** When to look again whether work can be asked for; null while nothing withholds it. */
  readonly pullAgainAtMs: number | null;
  /** When the reboot that the ledger tells of may begin without an acknowledgement, or is tried again. */
  readonly rebootAtMs: number;
  /** Of which attempt an iteration was told last, and when by the monotonic clock. */
  readonly iterationTold: { readonly attempt: string; readonly atMs: number } | null;
  readonly upgrade: Upgrade;
  /** The last ones, oldest first. */
  readonly upgradesFailed: readonly FailedUpgrade[];
};

export type Now = Instant & {
  /** In the file system of the state folder. */
  readonly freeBytes: number;
};

export type ExecutionEnd =
  | {
      readonly kind: 'exited';
      readonly status: number;
      readonly output: OutputBytes;
      readonly parts?: PartBytes;
      /** Whether it was told to end before it did. */
      readonly stopped: boolean;
    }
  /** The supervisor ended without an exit status; whatever was left is dead. */
  | { readonly kind: 'lost' }
  /** The claim was won by the agent, so the script never ran and never will. */
  | { readonly kind: 'not-executed' }
  | { readonly kind: 'unstartable'; readonly reason: string };

export type Recovery = {
  readonly params: NodeValues['params'];
  /** The executions whose exit status is known, as far as their folders are still there. */
  readonly ended: readonly Execution[];
  /** The one after them, when it was begun. */
  readonly last:
    | { readonly kind: 'none' }
    /** Or it has ended meanwhile: that is told as `executed` next. */
    | { readonly kind: 'running'; readonly number: number; readonly phase: Phase }
    | { readonly kind: 'not-executed'; readonly number: number };
};

export type Input =
  | { readonly kind: 'message'; readonly message: CoordinatorMessage }
  | { readonly kind: 'disconnected' }
  | {
      readonly kind: 'prepared';
      readonly attempt: string;
      readonly prepared:
        | { readonly ok: true; readonly params: NodeValues['params'] }
        | { readonly ok: false; readonly reason: string };
    }
  | { readonly kind: 'recovered'; readonly attempt: string; readonly recovery: Recovery }
  | {
      readonly kind: 'executed';
      readonly attempt: string;
      readonly number: number;
      readonly end: ExecutionEnd;
    }
  | {
      readonly kind: 'collected';
      readonly attempt: string;
      readonly logs: AttemptResult['logs'];
      /** `file` outputs by name; or why one could not be taken. */
      readonly files:
        | { readonly ok: true; readonly digests: Readonly<Record<string, string>> }
        | { readonly ok: false; readonly reason: string };
    }
  | { readonly kind: 'logs-acknowledged'; readonly attempt: string }
  | { readonly kind: 'files-uploaded'; readonly number: number; readonly lineage: string }
  | { readonly kind: 'upgrade-taken' }
  | { readonly kind: 'upgrade-failed'; readonly failed: FailedUpgrade }
  | { readonly kind: 'alarm' };

export type Effect =
  | { readonly kind: 'send'; readonly message: AgentMessage }
  | ({ readonly kind: 'greet'; readonly counter: number } & Pick<
      Hello,
      'held' | 'remembered' | 'rebooting' | 'rebooted'
    >)
  | { readonly kind: 'send-facts' }
  | { readonly kind: 'resume-logs'; readonly lineage: string }
  | { readonly kind: 'prepare'; readonly job: Job }
  | { readonly kind: 'abandon-preparation'; readonly attempt: string }
  | { readonly kind: 'recover'; readonly job: Job }
  | {
      readonly kind: 'execute';
      readonly job: Job;
      readonly number: number;
      readonly phase: Phase;
      readonly script: Script;
    }
  | { readonly kind: 'stop'; readonly attempt: string }
  | { readonly kind: 'collect'; readonly attempt: string; readonly files: Readonly<Record<string, string>> }
  | {
      readonly kind: 'upload-files';
      readonly number: number;
      /** Of the coordinator that is to get them. */
      readonly lineage: string;
      readonly digests: readonly string[];
    }
  /** Nobody needs the folder of this attempt and its files any more. */
  | { readonly kind: 'forget'; readonly attempt: string; readonly files: readonly string[] }
  | { readonly kind: 'reboot' }
  | { readonly kind: 'take-upgrade'; readonly offer: Offer }
  | { readonly kind: 'leave-for-upgrade' }
  | { readonly kind: 'prove-health' }
  | { readonly kind: 'hang-up'; readonly reason: string; readonly retryAfterMs: number | null }
  | { readonly kind: 'exit'; readonly reason: string }
  | { readonly kind: 'note'; readonly level: 'info' | 'warn' | 'error'; readonly text: string };

/** Records become durable, and the identity if it changed, before any of the effects takes place. */
export type Turned = {
  readonly state: AgentState;
  readonly records: readonly LedgerRecord[];
  readonly effects: readonly Effect[];
};
