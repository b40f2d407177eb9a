/**
 * What is worth telling somebody who does not watch: which events, in which words, and with which commands he goes
 * on. A projection over events in their order, so that it comes to the same again after a restart. Whoever adds
 * something that people should be told of adds a kind and a case.
 */
import { jobIdOf } from '../../shared/ids.ts';
import type { Event } from './events.ts';
import type { NotificationKind } from './notification-kinds.ts';

export type Notification = {
  readonly kind: NotificationKind;
  readonly seq: number;
  readonly at: number;
  readonly cluster: string | null;
  readonly run: string | null;
  readonly pipeline: string | null;
  readonly node: string | null;
  /** One sentence. */
  readonly what: string;
  readonly why: string | null;
  /** What can be typed next, the likeliest first. */
  readonly commands: readonly string[];
};

/** What is known of a run beside the event. */
export type RunBrief = {
  readonly pipeline: string;
  readonly cluster: string;
  /** It is held because of failures. */
  readonly failing: boolean;
  /** Options of `lockstep resume` that give a role the leader that it needs first; null when none does. */
  readonly elect: string | null;
};

export type Surroundings = {
  readonly runOf: (run: string) => RunBrief | undefined;
  readonly clusterOf: (node: string) => string | undefined;
};

type Told = Pick<Notification, 'kind' | 'what' | 'commands'> & { readonly why?: string };

export class Notifications {
  /** Jobs that wait for a decision, by run. One is told, with a command that shows all of them. */
  readonly #heldJobs = new Map<string, Set<string>>();

  /** In order. Undefined for what nobody has to be told of. */
  hear(event: Event, { runOf, clusterOf }: Surroundings): Notification | undefined {
    const told = this.#tellHeldJob(event) ?? tell(event, runOf);
    if (told === undefined) return undefined;
    const { kind, what, why, commands } = told;
    const run = 'run' in event ? event.run : null;
    const brief = run === null ? undefined : runOf(run);
    const node = 'node' in event ? event.node : null;
    const cluster = run === null && node !== null ? clusterOf(node) : brief?.cluster;
    return {
      kind,
      seq: event.seq,
      at: event.at,
      cluster: cluster ?? null,
      run,
      pipeline: brief?.pipeline ?? null,
      node,
      what,
      why: why === undefined || why === '' ? null : why,
      commands,
    };
  }

  #tellHeldJob(event: Event): Told | undefined {
    if (event.type === 'JobDecided')
      this.#heldJobs.get(event.run)?.delete(jobIdOf(event.run, event.step, event.node));
    if (endsHolds.has(event.type) && 'run' in event) this.#heldJobs.delete(event.run);
    if (event.type !== 'JobHeld') return undefined;
    const { run, step, node, reason } = event;
    const held = this.#heldJobs.get(run) ?? new Set();
    this.#heldJobs.set(run, held.add(jobIdOf(event.run, event.step, event.node)));
    if (held.size > 1) return undefined;
    return {
      kind: 'held',
      what: `${step} of run ${run} is held on ${node}: an operator must say what became of it.`,
      why: reason,
      commands: [
        `lockstep why ${run}`,
        `lockstep resume ${jobIdOf(event.run, event.step, event.node)} --as succeeded|failed|again --reason '…'`,
      ],
    };
  }
}

/** Types of which something may have to be told; all others need not be shown to `hear`. */
const heard: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'ApprovalRequested',
  'JobDecided',
  'JobHeld',
  'JobSkipped',
  'NodeAdministered',
  'NodeUnreachable',
  'RunCancelRequested',
  'RunDeferred',
  'RunEnded',
  'RunHeld',
  'RunResumed',
  'TriggerFailed',
]);

export const mayBeTold = ({ type }: Event): boolean => heard.has(type);

const endsHolds: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'RunResumed',
  'RunCancelRequested',
  'RunEnded',
]);

const nameOf = (run: string, brief: RunBrief | undefined): string =>
  brief === undefined ? `Run ${run}` : `Run ${run} (${brief.pipeline} on ${brief.cluster})`;

function tell(event: Event, runOf: Surroundings['runOf']): Told | undefined {
  switch (event.type) {
    case 'RunHeld':
      return tellHold(event, runOf(event.run));
    case 'ApprovalRequested': {
      const { run, unit, text } = event;
      return {
        kind: 'waiting-for-approval',
        what: `${nameOf(run, runOf(run))} waits for an approval of ${unit}.`,
        why: text,
        commands: [
          `lockstep approve ${run} ${unit}`,
          `lockstep reject ${run} ${unit} --reason '…'`,
          `lockstep why ${run}`,
        ],
      };
    }
    case 'RunEnded': {
      const { run, state, reason } = event;
      const lasts =
        state === 'cancelled' ? 'was cancelled' : state === 'failed' ? 'has failed' : 'has succeeded';
      return {
        kind: state,
        what: `${nameOf(run, runOf(run))} ${lasts}.`,
        why: reason,
        commands:
          state === 'succeeded'
            ? [`lockstep report ${run}`]
            : [`lockstep report ${run}`, `lockstep logs ${run}`],
      };
    }
    case 'RunDeferred':
      return {
        kind: 'deferred',
        what: `${nameOf(event.run, runOf(event.run))} has succeeded but for nodes that are away.`,
        why: event.reason,
        commands: [`lockstep why ${event.run}`],
      };
    case 'JobSkipped':
      // The core says so of jobs whose node was not back in time, and of no others.
      return event.reason.startsWith('deferred for ')
        ? {
            kind: 'overdue',
            what: `${event.node} did not do ${event.step} of run ${event.run} in time.`,
            why: event.reason,
            commands: [`lockstep node show ${event.node}`, `lockstep report ${event.run}`],
          }
        : undefined;
    case 'NodeAdministered':
      return event.administration === 'quarantined'
        ? {
            kind: 'quarantined',
            what: `Node ${event.node} is quarantined: it gets no more work.`,
            why: event.reason,
            commands: [`lockstep node show ${event.node}`, `lockstep node accept ${event.node} --reason '…'`],
          }
        : undefined;
    case 'TriggerFailed':
      return {
        kind: 'not-started',
        what: `Trigger ${event.trigger} started no run, although ${event.what}.`,
        why: event.reason,
        commands: [`lockstep why ${event.trigger}`, `lockstep trigger fire ${event.trigger}`],
      };
    case 'NodeUnreachable':
      return {
        kind: 'unreachable',
        what: `Contact with node ${event.node} was lost at ${new Date(event.since).toISOString()}.`,
        commands: [`lockstep why ${event.node}`],
      };
    default:
      return undefined;
  }
}

function tellHold(event: Extract<Event, { type: 'RunHeld' }>, brief: RunBrief | undefined): Told {
  const { run, reason, needs, restored } = event;
  if (needs === 'contact')
    return {
      kind: 'paused',
      what: `${nameOf(run, brief)} is paused; it goes on by itself when enough nodes are back.`,
      why: reason,
      commands: [`lockstep why ${run}`],
    };
  const elect = brief?.elect ?? null;
  const elections = elect === null ? [] : [`lockstep resume ${run} ${elect}`];
  const ways = brief?.failing
    ? [`lockstep resume ${run} --retry-failed`, `lockstep resume ${run} --accept-failed`]
    : restored === undefined
      ? elections.length > 0
        ? []
        : [`lockstep resume ${run}`]
      : [`lockstep resume ${run}`, `lockstep resume ${run} --as-reported`];
  return {
    kind: 'held',
    what: `${nameOf(run, brief)} is held for a decision.`,
    why: reason,
    commands: [`lockstep why ${run}`, ...elections, ...ways, `lockstep cancel ${run}`],
  };
}
