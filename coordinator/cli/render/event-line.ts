/**
 * One plain line for each change in a run that people want to see in a log file or a CI job. Everything else
 * that the journal holds is `lockstep events`.
 */
import * as z from 'zod';
import type { JournalEvent } from '../resources.ts';
import { formatClock, formatDate, formatDuration, inLocalTime } from './measures.ts';

const job = { step: z.string(), node: z.string() };
const reason = { reason: z.string() };
const unit = { unit: z.string() };

/** The fields that are shown, by type of event; types that are not here are not shown. */
const shown = z.discriminatedUnion('type', [
  z.object({ type: z.literal('RunCreated'), run: z.string() }),
  z.object({ type: z.literal('RunStarted'), run: z.string() }),
  z.object({
    type: z.literal('RunPlanned'),
    roles: z.record(z.string(), z.object({ nodes: z.array(z.string()) })),
  }),
  z.object({ type: z.literal('ApprovalRequested'), run: z.string(), ...unit, text: z.string() }),
  z.object({ type: z.literal('ApprovalGiven'), ...unit, by: z.string() }),
  z.object({ type: z.literal('ApprovalRejected'), ...unit, by: z.string(), ...reason }),
  z.object({ type: z.literal('LeaderElected'), role: z.string(), node: z.string() }),
  z.object({ type: z.literal('WaveOpened'), ...unit, wave: z.int(), nodes: z.array(z.string()) }),
  z.object({ type: z.literal('SlotTaken'), ...unit, node: z.string() }),
  z.object({ type: z.literal('SlotReleased'), ...unit, node: z.string() }),
  z.object({ type: z.enum(['WindowOpened', 'WindowClosed']), ...unit, until: z.number().nullable() }),
  z.object({ type: z.literal('RunFailing'), ...unit, ...reason }),
  z.object({ type: z.literal('RunHeld'), run: z.string(), ...reason }),
  z.object({ type: z.literal('RunResumed'), run: z.string(), how: z.string(), by: z.string() }),
  z.object({ type: z.literal('RunCancelRequested'), run: z.string(), by: z.string(), ...reason }),
  z.object({ type: z.literal('StepsLeftOut'), run: z.string(), from: z.string() }),
  z.object({ type: z.literal('RunConcluded'), run: z.string(), state: z.string(), ...reason }),
  z.object({ type: z.literal('RunEnded'), run: z.string(), state: z.string(), ...reason }),
  z.object({ type: z.literal('RunDeferred'), run: z.string(), ...reason }),
  z.object({ type: z.literal('NodeReturned'), run: z.string(), node: z.string() }),
  z.object({ type: z.literal('NodeLeft'), node: z.string(), ...reason }),
  z.object({ type: z.literal('JobStarted'), ...job, attempt: z.int() }),
  z.object({
    type: z.literal('AttemptEnded'),
    ...job,
    attempt: z.int(),
    outcome: z.string(),
    final: z.boolean(),
    unchanged: z.boolean(),
    exitCode: z.int().nullable(),
    reason: z.string().nullable(),
    durationMs: z.number(),
    logs: z.object({ stdout: z.number(), stderr: z.number() }),
    reboot: z.object({ boot: z.string() }).optional(),
  }),
  z.object({ type: z.literal('JobRebooted'), ...job, planned: z.boolean().nullable() }),
  z.object({ type: z.literal('JobDeferred'), ...job, until: z.number() }),
  z.object({ type: z.literal('AttemptDisclosed'), ...job, attempt: z.int() }),
  z.object({ type: z.literal('JobRequeued'), ...job, ...reason }),
  z.object({ type: z.literal('JobSkipped'), ...job, ...reason }),
  z.object({ type: z.literal('JobFailed'), ...job, ...reason }),
  z.object({ type: z.literal('JobHeld'), ...job, ...reason }),
  z.object({ type: z.literal('JobUnknown'), ...job }),
  z.object({ type: z.literal('JobFound'), ...job }),
  z.object({ type: z.literal('JobDecided'), ...job, as: z.string(), by: z.string(), ...reason }),
]);
type Shown = z.infer<typeof shown>;

const because = (why: string | null): string => (why === null || why === '' ? '' : `: ${why}`);

function describeAttempt(event: Extract<Shown, { type: 'AttemptEnded' }>): string {
  const { step, node, attempt, outcome, final, unchanged, exitCode, durationMs } = event;
  const why = event.reason ?? (exitCode === null || exitCode === 0 ? null : `exit ${exitCode}`);
  const parts = [step, node, outcome, formatDuration(durationMs)];
  if (unchanged) parts.push('(nothing to do)');
  if (attempt > 1) parts.push(`(attempt ${attempt})`);
  if (event.reboot !== undefined) parts.push('(the node reboots now)');
  const again = final || outcome === 'succeeded' ? '' : ', tries again';
  return `${parts.join(' ')}${outcome === 'succeeded' ? '' : because(why)}${again}`;
}

function describe(event: Shown): string {
  switch (event.type) {
    case 'RunCreated':
      return `run ${event.run} created`;
    case 'RunStarted':
      return `run ${event.run} running`;
    case 'RunPlanned':
      return Object.entries(event.roles)
        .map(([name, { nodes }]) => `role ${name}: ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`)
        .join(', ');
    case 'ApprovalRequested':
      return `${event.unit} waits for approval: ${event.text} (lockstep approve ${event.run} ${event.unit})`;
    case 'ApprovalGiven':
      return `${event.unit} approved by ${event.by}`;
    case 'ApprovalRejected':
      return `${event.unit} rejected by ${event.by}${because(event.reason)}`;
    case 'LeaderElected':
      return `${event.node} leads ${event.role}`;
    case 'WaveOpened':
      return `${event.unit} wave ${event.wave + 1} opened for ${event.nodes.length} ${event.nodes.length === 1 ? 'node' : 'nodes'}`;
    case 'SlotTaken':
      return `${event.unit} ${event.node} took a slot`;
    case 'WindowOpened':
    case 'WindowClosed': {
      const how = event.type === 'WindowOpened' ? 'may begin' : 'is parked';
      return `${event.unit} ${how}${event.until === null ? '' : ` until ${formatDate(event.until)}`}`;
    }
    case 'SlotReleased':
      return `${event.unit} ${event.node} gave its slot back`;
    case 'RunFailing':
      return `${event.unit} has more failures than allowed: ${event.reason}`;
    case 'RunHeld':
      return `run ${event.run} held${because(event.reason)}`;
    case 'RunResumed':
      return `run ${event.run} resumed (${event.how}) by ${event.by}`;
    case 'RunCancelRequested':
      return `run ${event.run} cancelling, asked by ${event.by}${because(event.reason)}`;
    case 'StepsLeftOut':
      return `run ${event.run} begins at ${event.from}: what is before it is skipped`;
    case 'RunConcluded':
      return `run ${event.run} will end as ${event.state}${because(event.reason)}; its last steps begin`;
    case 'RunEnded':
      return `run ${event.run} ${event.state}${because(event.reason)}`;
    case 'RunDeferred':
      return `run ${event.run} succeeded-with-deferred${because(event.reason)}`;
    case 'NodeReturned':
      return `${event.node} is back and does what run ${event.run} had deferred`;
    case 'NodeLeft':
      return `${event.node} leaves the run${because(event.reason)}`;
    case 'JobStarted':
      return `${event.step} ${event.node} started${event.attempt > 1 ? ` (attempt ${event.attempt})` : ''}`;
    case 'AttemptEnded':
      return describeAttempt(event);
    case 'JobRebooted':
      return `${event.step} ${event.node} is back from its reboot${event.planned === false ? ', which came by itself' : ''}`;
    case 'JobDeferred':
      return `${event.step} ${event.node} deferred until ${formatDate(event.until)}: the node is away`;
    case 'AttemptDisclosed':
      return `${event.step} ${event.node} held: its node tells of attempt ${event.attempt}, which lies after the backup`;
    case 'JobRequeued':
      return `${event.step} ${event.node} goes again${because(event.reason)}`;
    case 'JobSkipped':
      return `${event.step} ${event.node} skipped${because(event.reason)}`;
    case 'JobFailed':
      return `${event.step} ${event.node} failed${because(event.reason)}`;
    case 'JobHeld':
      return `${event.step} ${event.node} held${because(event.reason)}`;
    case 'JobUnknown':
      return `${event.step} ${event.node} unknown: contact lost while it may be running`;
    case 'JobFound':
      return `${event.step} ${event.node} is back and still at it`;
    case 'JobDecided':
      return `${event.step} ${event.node} decided as ${event.as} by ${event.by}${because(event.reason)}`;
  }
}

/** `12:03:04 configure n2 succeeded 1.2s`, or undefined for what is no news to somebody who watches. */
export function eventLine(event: JournalEvent): string | undefined {
  const parsed = shown.safeParse(event);
  return parsed.success
    ? `${formatClock(Date.parse(event.at))} ${inLocalTime(describe(parsed.data))}`
    : undefined;
}

export type FailedAttempt = Pick<
  Extract<Shown, { type: 'AttemptEnded' }>,
  'step' | 'node' | 'attempt' | 'logs'
>;

/** The attempt whose log tells more, when this is the final failure of one. */
export function failedAttempt(event: JournalEvent): FailedAttempt | undefined {
  const parsed = shown.safeParse(event);
  if (!parsed.success || parsed.data.type !== 'AttemptEnded') return undefined;
  const { outcome, final } = parsed.data;
  return final && (outcome === 'failed' || outcome === 'timed-out') ? parsed.data : undefined;
}
