/** What happens to jobs and their attempts, and what they provide. */
import type { Outcome } from '../../shared/messages.ts';
import type { Actor, Ended, JobMode, StoredValue } from './event-values.ts';

/** What became of a deferred job that was never done: its node was not back in time, or a later run does it. */
export type Missed = { readonly how: 'overdue' } | { readonly how: 'superseded'; readonly by: string };

export type JobEvent =
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
      /** All the nodes that it is for, when those are a whole role. */
      readonly targets?: readonly string[];
      /** Attempt id of the job with which it was granted, whose success on the node is one of its gates. */
      readonly segment?: string;
      readonly task: number;
      readonly inputs: Readonly<Record<string, StoredValue>>;
      readonly provides?: {
        readonly service: string;
        readonly port: number | null;
        readonly address: string | null;
      };
      /** Of `rescue`, `always` and `finally`. */
      readonly ended?: Ended;
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
      /** What the script told of its parts (shared/parts.ts); absent when it told nothing. */
      readonly parts?: StoredValue;
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
      /** Only of one that was deferred: why it is not done any more. */
      readonly missed?: Missed;
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
