/**
 * Which events show that a run left its plan, and how that is told: a retry, a failure, a node that was away, a
 * hold, a decision. What goes as planned is not here. Whoever adds an event that people should read of in a
 * report adds one case.
 */
import type { Event } from './events.ts';

export type DeviationKind =
  | 'retry'
  | 'failed'
  | 'again'
  | 'skipped'
  | 'deferred'
  | 'unknown'
  | 'held'
  | 'paused'
  | 'decision'
  | 'left'
  | 'leader'
  | 'cancelled'
  | 'node'
  | 'stale'
  | 'coordinator';

export type Deviation = {
  readonly at: number;
  /** When it was over, for what lasts: a job that was unknown. */
  until: number | null;
  readonly kind: DeviationKind;
  readonly step: string | null;
  readonly node: string | null;
  readonly sentence: string;
  /** The operator whose decision it was. */
  readonly by: string | null;
};

type Told = Pick<Deviation, 'kind' | 'sentence'> & { readonly by?: string; readonly at?: number };

/** Undefined for what goes as planned. */
export function deviationOf(event: Event): Deviation | undefined {
  const told = tell(event);
  if (told === undefined) return undefined;
  const { kind, sentence, by = null, at = event.at } = told;
  const step = 'step' in event ? event.step : 'unit' in event ? event.unit : null;
  return { at, until: null, kind, step, node: 'node' in event ? event.node : null, sentence, by };
}

function tell(event: Event): Told | undefined {
  switch (event.type) {
    case 'AttemptEnded':
      return tellAttempt(event);
    case 'JobRebooted':
      return event.planned === false ? { kind: 'again', sentence: 'the node rebooted by itself' } : undefined;
    case 'StaleResultReported':
      return {
        kind: 'stale',
        sentence: `${event.attempt} was reported as ${event.outcome} when it no longer counted`,
      };
    case 'AttemptDisclosed':
      return {
        kind: 'held',
        sentence: `the node tells of attempt ${event.attempt} (${event.outcome ?? event.state}), which lies after the backup`,
      };
    case 'JobRequeued':
      return { kind: 'again', sentence: withReason('it goes again', event.reason) };
    case 'JobSkipped':
      // What its `if` leaves out is as planned.
      return event.reason.startsWith('if: ')
        ? undefined
        : { kind: 'skipped', sentence: withReason('skipped', event.reason) };
    case 'JobDeferred':
      return {
        kind: 'deferred',
        sentence: `the node is away; deferred until ${new Date(event.until).toISOString()}`,
      };
    case 'JobFailed':
      return { kind: 'failed', sentence: withReason('failed', event.reason) };
    case 'JobHeld':
      return { kind: 'held', sentence: withReason('held for a decision', event.reason) };
    case 'JobUnknown':
      return {
        kind: 'unknown',
        at: event.since,
        sentence: `contact was lost while attempt ${event.attempt} may have been running`,
      };
    case 'JobDecided':
      return {
        kind: 'decision',
        sentence: withReason(`decided as ${event.as}`, event.reason),
        by: event.by,
      };
    case 'NodeLeft':
      return { kind: 'left', sentence: withReason('takes no further part', event.reason) };
    case 'NodeReturned':
      return { kind: 'deferred', sentence: 'is back and does what was deferred' };
    case 'NodeAdministered':
      return {
        kind: 'node',
        sentence: withReason(`is ${event.administration}`, event.reason),
        by: event.by,
      };
    default:
      return tellOfRun(event);
  }
}

function tellOfRun(event: Event): Told | undefined {
  switch (event.type) {
    case 'RunFailing':
      return { kind: 'failed', sentence: `more failures than allowed: ${event.reason}` };
    case 'RunHeld':
      return event.needs === 'decision'
        ? { kind: 'held', sentence: withReason('the run was held', event.reason) }
        : { kind: 'paused', sentence: withReason('the run was paused', event.reason) };
    case 'RunResumed':
      return {
        kind: 'decision',
        sentence: withReason(`the run was resumed (${event.how})`, event.reason),
        by: event.by,
      };
    case 'RunCancelRequested':
      return { kind: 'cancelled', sentence: withReason('cancelled', event.reason), by: event.by };
    case 'RunDeferred':
      return { kind: 'deferred', sentence: withReason('only deferred jobs are left', event.reason) };
    case 'LeaderElected':
      return event.by === 'coordinator'
        ? undefined
        : { kind: 'leader', sentence: withReason(`leads ${event.role}`, event.reason), by: event.by };
    case 'ReignBegan':
      return { kind: 'coordinator', sentence: `the coordinator began anew (version ${event.version})` };
    default:
      return undefined;
  }
}

function tellAttempt(event: Extract<Event, { type: 'AttemptEnded' }>): Told | undefined {
  const { outcome, final, attempt, reason, exitCode } = event;
  if (outcome === 'succeeded' || outcome === 'not-started' || outcome === 'cancelled') return undefined;
  const why = reason ?? (exitCode === null ? '' : `exit ${exitCode}`);
  const sentence = withReason(`attempt ${attempt} ${outcome}`, why);
  return { kind: final ? 'failed' : 'retry', sentence };
}

const withReason = (what: string, reason: string): string => (reason === '' ? what : `${what}: ${reason}`);
