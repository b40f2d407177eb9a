/** What happens to a run as a whole, from its creation to the archive. */
import type { Pipeline } from '../../shared/pipeline/model.ts';
import type { Actor, LayeredValue, RolePlan } from './event-values.ts';

export type RunEvent =
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
  /** Right after the run was created: it begins at this step or group, and those before it are skipped. */
  | { readonly type: 'StepsLeftOut'; readonly run: string; readonly from: string }
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
  /** Nodes may begin the unit until then, or may not; null: for ever. */
  | {
      readonly type: 'WindowOpened' | 'WindowClosed';
      readonly run: string;
      readonly unit: string;
      readonly until: number | null;
    }
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
  | {
      readonly type: 'RunCancelRequested';
      readonly run: string;
      readonly by: Actor;
      readonly reason: string;
      /** The run that takes its place: what is live may end by itself, and nothing else begins. */
      readonly replacedBy?: string;
    }
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
  | { readonly type: 'NodeLeft'; readonly run: string; readonly node: string; readonly reason: string };
