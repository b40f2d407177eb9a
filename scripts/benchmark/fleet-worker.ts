/**
 * A process full of simulated agents, or of bare connections to compare them with. Told what to do over the
 * channel to its parent, and ends with it.
 */
import { assertNever } from '../../shared/assert.ts';
import { messageOf } from '../../shared/errors.ts';
import { parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { EchoClients } from './echo-clients.ts';
import { type FleetOrder, type FleetReport, fleetOrder } from './fleet-messages.ts';
import { nowMs } from './process-usage.ts';
import { type Place, SimulatedAgent } from './simulated-agent.ts';
import type { StepTimes } from './statistics.ts';

/** Handshakes at once: below the backlog of a listening socket. */
const joinsAtOnce = 50;
const progressEveryMs = 50;

const agents: SimulatedAgent[] = [];
/** Agents that have still to come back; null while none has to. */
let away: number | null = null;
let echo: EchoClients | undefined;
let jobMsMax = 0;
let acknowledged = 0;
let told = 0;
let firstGrantAt: number | null = null;
let lastAcknowledgedAt: number | null = null;
let steps = new Map<string, { -readonly [Key in keyof StepTimes]: StepTimes[Key] }>();

const tell = (report: FleetReport): void => {
  process.send?.(report);
};

const observer = {
  jobMs: () => (jobMsMax === 0 ? 0 : Math.random() * jobMsMax),
  onGrant: (attempt: string) => {
    const at = nowMs();
    firstGrantAt ??= at;
    const times = timesOf(attempt, at);
    times.lastGrantAt = at;
  },
  onResult: (attempt: string) => {
    const at = nowMs();
    timesOf(attempt, at).lastResultAt = at;
  },
  onAcknowledged: (results: number) => {
    acknowledged += results;
    lastAcknowledgedAt = nowMs();
  },
  onWelcome: () => {
    if (away === null) return;
    away -= 1;
    if (away > 0) return;
    away = null;
    tell({ kind: 'back', at: nowMs() });
  },
  onBroken: (reason: string) => tell({ kind: 'broken', reason }),
};

function timesOf(attempt: string, at: number) {
  const step = parseAttemptId(attempt)?.step ?? '';
  const known = steps.get(step);
  if (known !== undefined) return known;
  const times = { step, firstGrantAt: at, lastGrantAt: at, lastResultAt: at };
  steps.set(step, times);
  return times;
}

async function join(place: Place, first: number, count: number): Promise<void> {
  for (let begun = 0; begun < count; begun += joinsAtOnce) {
    const batch = Array.from(
      { length: Math.min(joinsAtOnce, count - begun) },
      (_, index) => new SimulatedAgent(first + begun + index, place, observer),
    );
    agents.push(...batch);
    await Promise.all(batch.map((agent) => agent.joined));
  }
  tell({ kind: 'joined' });
}

async function obey(order: FleetOrder): Promise<void> {
  switch (order.kind) {
    case 'join':
      return join(order, order.first, order.count);
    case 'measure':
      jobMsMax = order.jobMsMax;
      acknowledged = told = 0;
      firstGrantAt = lastAcknowledgedAt = null;
      steps = new Map();
      return;
    case 'report':
      return tell({
        kind: 'measured',
        acknowledged,
        firstGrantAt,
        lastAcknowledgedAt,
        steps: [...steps.values()],
      });
    case 'come-back':
      away = agents.length;
      for (const agent of agents) agent.comeBack();
      return;
    case 'echo':
      echo = await EchoClients.connect(order.url, order.connections);
      tell({ kind: 'connected' });
      return tell({ kind: 'echoed', ...(await echo.exchange(order.frame, order.forMs)) });
    case 'hang-up':
      echo?.close();
      echo = undefined;
      return;
    default:
      assertNever(order);
  }
}

setInterval(() => {
  if (acknowledged === told) return;
  told = acknowledged;
  tell({ kind: 'progress', acknowledged });
}, progressEveryMs);

setInterval(() => {
  for (const agent of agents) agent.pingIfQuietFor(limits.heartbeatIntervalMs / 2);
}, limits.heartbeatIntervalMs / 2);

process.on('message', (message: unknown) => {
  obey(fleetOrder.parse(message)).catch((error: unknown) =>
    tell({ kind: 'broken', reason: messageOf(error) }),
  );
});
process.on('disconnect', () => process.exit());
