/**
 * What the coordinator says, and what it is told: the greeting, fencing by lineage and epoch, grants (never
 * an attempt twice), cancels, results until they are acknowledged, and asking for work.
 */
import { assertNever } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import {
  type AgentMessage,
  type CoordinatorMessage,
  type Hello,
  type JobSpecification,
  protocolVersion,
} from '../../shared/messages.ts';
import { cancelJob } from './attempt.ts';
import { tellIterationAnew } from './iteration.ts';
import { covers, type EndedAttempt, type FinishedAttempt, isUntouched, type Job, lookUp } from './ledger.ts';
import { isRebooting, rebootInHello, withdrawReboot } from './reboot.ts';
import { epochSeen, newerReign, rememberedFor, withReign } from './reign.ts';
import type { AgentState, Identity, Input, Link } from './state.ts';
import { type Turn, unexecuted } from './turn.ts';
import { isGivingWay, onOffer } from './upgrade.ts';

type FilesUploaded = Extract<Input, { kind: 'files-uploaded' }>;
type MessageOf<Type extends CoordinatorMessage['type']> = CoordinatorMessage & { readonly type: Type };
type Joined = Link & { readonly kind: 'joined' };

export function onMessage(turn: Turn, message: CoordinatorMessage): void {
  const { link } = turn.state;
  switch (message.type) {
    case 'challenge':
      link.kind === 'down' ? onChallenge(turn, message) : outOfOrder(turn, message);
      return;
    case 'welcome':
      link.kind === 'greeting' ? onWelcome(turn, link, message) : outOfOrder(turn, message);
      return;
    case 'rejected':
      onRejected(turn, message);
      return;
    case 'ping':
    case 'pong':
    case 'ack-log':
      return;
  }
  if (link.kind !== 'joined') {
    outOfOrder(turn, message);
    return;
  }
  switch (message.type) {
    case 'grant':
      onGrant(turn, link, message);
      return;
    case 'ack-results':
      onAckResults(turn, message.upTo);
      return;
    case 'cancel':
      onCancel(turn, link, message);
      return;
    case 'recall':
      onRecall(turn, message);
      return;
    case 'upgrade':
      onOffer(turn, message);
      return;
    default:
      assertNever(message);
  }
}

function outOfOrder(turn: Turn, { type }: CoordinatorMessage): void {
  hangUp(turn, `the coordinator sent "${type}" out of order (the link was ${turn.state.link.kind})`, 0);
}

function hangUp(turn: Turn, reason: string, retryAfterMs: number): void {
  turn.relink({ kind: 'down' });
  turn.emit({ kind: 'hang-up', reason, retryAfterMs });
}

function onChallenge(turn: Turn, challenge: MessageOf<'challenge'>): void {
  const { protocol, protocolMin, lineage, epoch } = challenge;
  if (protocolVersion < protocolMin || protocolVersion > protocol) {
    const range = protocolMin === protocol ? `${protocol}` : `${protocolMin} to ${protocol}`;
    hangUp(
      turn,
      `the coordinator speaks protocol ${range} and this agent ${protocolVersion}: use agent and coordinator of versions that fit`,
      limits.reconnectDelayMaxMs,
    );
    return;
  }
  const { identity, ledger, node } = turn.state;
  const newer = newerReign(identity, challenge);
  if (newer !== undefined) {
    const { root: _, ...seenReign } = newer;
    say(turn, { type: 'fenced', name: node.name, ...seenReign });
    const seen = `epoch ${newer.epoch}${newer.lineage === lineage ? '' : ` of lineage ${newer.lineage}`}`;
    hangUp(
      turn,
      `the coordinator reigns in epoch ${epoch} of lineage ${lineage}, but ${seen} was seen here: it is an old copy; stop it, or start it from the newest data`,
      limits.reconnectDelayMaxMs,
    );
    return;
  }
  const counter = identity.counter + 1;
  const remembered = rememberedFor(identity, ledger, challenge);
  const uploaded = identity.epochs.at(-1)?.lineage === lineage ? turn.state.uploaded : [];
  turn.state = { ...turn.state, uploaded, identity: { ...withReign(identity, challenge), counter } };
  turn.relink({ kind: 'greeting', lineage, epoch, ancestors: challenge.origin?.ancestors ?? [] });
  const told = { held: heldAttempts(turn.state), ...(remembered === undefined ? {} : { remembered }) };
  turn.emit({ kind: 'greet', counter, ...told, ...rebootInHello(turn.state) });
}

function heldAttempts({ ledger }: AgentState): Hello['held'] {
  const jobs = ledger.jobs.map(({ attempt, begun }) => ({
    attempt,
    state: begun === null ? ('accepted' as const) : ('running' as const),
  }));
  const ended = ledger.ended
    .filter((one) => !one.acknowledged)
    .map(({ result }) => ({ attempt: result.attempt, state: 'ended' as const }));
  return [...jobs, ...ended];
}

function onWelcome(turn: Turn, link: Link & { kind: 'greeting' }, welcome: MessageOf<'welcome'>): void {
  const { lineage, epoch, ancestors } = link;
  turn.relink({ kind: 'joined', lineage, epoch, ancestors, sentUpTo: 0, uploading: null, pulled: false });
  takeName(turn, welcome.node);
  turn.note('info', `joined as node ${welcome.node} (lineage ${lineage}, epoch ${epoch})`);
  if (welcome.factsWanted) turn.emit({ kind: 'send-facts' });
  turn.emit({ kind: 'resume-logs', lineage });
  tellIterationAnew(turn);
}

/** The coordinator expects this machine by another name. It is kept, for the time when the link is down at the start. */
function takeName(turn: Turn, name: string): void {
  const { node, identity } = turn.state;
  if (node.name === name) return;
  const asked = identity.given?.name === node.name ? identity.given.asked : node.name;
  turn.note('info', `this host is expected as node ${name}, and is ${asked} no more`);
  turn.state = {
    ...turn.state,
    node: { ...node, name },
    identity: { ...identity, given: { asked, name } },
  };
}

/** The name with which a host that was started with the one `asked` goes on. */
export const nameFor = (asked: string, { given }: Identity): string =>
  given?.asked === asked ? given.name : asked;

function onRejected(turn: Turn, { reason, retryAfterMs }: MessageOf<'rejected'>): void {
  if (retryAfterMs === null) {
    turn.relink({ kind: 'down' });
    turn.emit({ kind: 'exit', reason: `the coordinator refuses this agent: ${reason}` });
    return;
  }
  hangUp(turn, `the coordinator refuses this agent for now: ${reason}`, retryAfterMs);
}

function onGrant(turn: Turn, link: Joined, grant: MessageOf<'grant'>): void {
  const { lineage, epoch, jobs, expiresMs } = grant;
  const seen = epochSeen(turn.state.identity, lineage);
  if (lineage !== link.lineage || epoch < seen) {
    hangUp(
      turn,
      `refused a grant of epoch ${epoch} of lineage ${lineage}: epoch ${seen} was seen and the link is to lineage ${link.lineage}`,
      limits.reconnectDelayMinMs,
    );
    return;
  }
  if (turn.state.ledger.jobs.length + jobs.length > limits.agentJobsHeldMax) {
    hangUp(
      turn,
      `the coordinator granted more than ${limits.agentJobsHeldMax} jobs`,
      limits.reconnectDelayMaxMs,
    );
    return;
  }
  if (epoch > seen) {
    const epochs = turn.state.identity.epochs.map((one) =>
      one.lineage === lineage ? { ...one, epoch } : one,
    );
    turn.state = { ...turn.state, identity: { ...turn.state.identity, epochs } };
  }
  turn.relink({ ...link, pulled: false });
  const fresh: JobSpecification[] = [];
  for (const job of jobs) {
    if (fresh.some((other) => other.attempt === job.attempt)) continue;
    if (isNew(turn, link, job.attempt, job.attemptsMax)) fresh.push(job);
  }
  if (fresh.length === 0) return;
  const expiresAtMs = expiresMs === undefined ? null : turn.now.monotonicMs + expiresMs;
  turn.record({ kind: 'granted', lineage, boot: turn.state.host.boot, jobs: fresh, expiresAtMs });
  for (const { attempt } of fresh) say(turn, { type: 'accepted', attempt });
}

const say = (turn: Turn, message: AgentMessage): void => turn.emit({ kind: 'send', message });

/** Whether an attempt may come to life. One that is known is answered with what became of it. */
function isNew(turn: Turn, link: Joined, attempt: string, attemptsMax: number): boolean {
  const { lineage } = link;
  const known = lookUp(turn.state.ledger, attempt, attemptsMax);
  switch (known.kind) {
    case 'new':
      return true;
    case 'held':
      repeatState(turn, known.job);
      return false;
    case 'ended':
      repeatResult(turn, known.ended);
      return false;
    case 'finished':
      turn.conclude(lineage, rememberedResult(turn, link, known.finished));
      return false;
    case 'superseded':
      turn.conclude(
        lineage,
        unexecuted(attempt, 'not-started', `the later attempt ${known.by} is known on this node`, turn.now),
      );
      return false;
    default:
      return assertNever(known);
  }
}

function repeatState(turn: Turn, { attempt, begun }: Job): void {
  say(turn, { type: 'accepted', attempt });
  if (begun !== null) say(turn, { type: 'started', attempt, at: begun.wallMs });
}

/** What was not acknowledged is sent on every connection anyway. */
function repeatResult(turn: Turn, { acknowledged, number, result }: EndedAttempt): void {
  if (acknowledged) say(turn, { type: 'result', number, result });
}

/**
 * Another lineage may use the name for other work: its result must not pass for that work's, and executing
 * it could be doing the same thing twice. So neither: somebody has to look. A lineage that continues the other
 * one means the same by the name: it names only what both have in common.
 */
function rememberedResult(
  turn: Turn,
  { lineage, ancestors }: Joined,
  { attempt, result, ...finished }: FinishedAttempt,
) {
  if (finished.lineage !== lineage && !ancestors.includes(finished.lineage)) {
    const reason = `an attempt of this name was executed here for lineage ${finished.lineage}`;
    return unexecuted(attempt, 'interrupted', reason, turn.now);
  }
  const hasLostFiles = finished.withFiles === true && finished.lineage !== lineage;
  if (result !== null && !hasLostFiles) return { ...result, final: true };
  return unexecuted(
    attempt,
    'interrupted',
    'it was executed here and its result acknowledged; the outputs are no longer kept on the node',
    turn.now,
  );
}

function onCancel(turn: Turn, link: Joined, { attempt, reason }: MessageOf<'cancel'>): void {
  if (withdrawReboot(turn, attempt)) return;
  const job = turn.state.ledger.jobs.find((held) => covers(held, attempt));
  if (job !== undefined) {
    cancelJob(turn, job, reason);
    return;
  }
  // Remembered as concluded, so that a grant which arrives late is not executed.
  if (isNew(turn, link, attempt, 1)) {
    turn.conclude(link.lineage, unexecuted(attempt, 'cancelled', reason, turn.now));
  }
}

/** The coordinator wants back what it granted ahead; what has begun goes on. */
function onRecall(turn: Turn, { attempts, reason }: MessageOf<'recall'>): void {
  const recalled = new Set(attempts);
  for (const job of turn.state.ledger.jobs) {
    if (!recalled.has(job.attempt) || !isUntouched(job)) continue;
    turn.conclude(job.lineage, unexecuted(job.attempt, 'not-started', reason, turn.now));
  }
}

/** It may be late, for a number that was sent on an earlier connection: numbers mean the same on all of them. */
function onAckResults(turn: Turn, upTo: number): void {
  if (upTo < turn.state.ledger.nextNumber) turn.record({ kind: 'acknowledged', upTo });
  else
    hangUp(
      turn,
      `the coordinator acknowledged result ${upTo}, which does not exist`,
      limits.reconnectDelayMinMs,
    );
}

/** What a coordinator of another lineage got may be in the part that was lost: this one does not have it. */
export function onFilesUploaded(turn: Turn, { number, lineage }: FilesUploaded): void {
  const { link, ledger, identity } = turn.state;
  if (lineage !== identity.epochs.at(-1)?.lineage) return;
  const waiting = new Set(ledger.ended.map((ended) => ended.number));
  const uploaded = [...turn.state.uploaded.filter((one) => waiting.has(one)), number];
  turn.state = { ...turn.state, uploaded };
  if (link.kind === 'joined' && link.uploading === number) turn.relink({ ...link, uploading: null });
}

/** Sends what may be sent now, in order, and asks for work when there is nothing else to do. */
export function flush(turn: Turn): void {
  const { link } = turn.state;
  if (link.kind !== 'joined') return;
  sendResults(turn, link);
  pull(turn);
}

function sendResults(turn: Turn, link: Joined): void {
  const { ended } = turn.state.ledger;
  let { sentUpTo, uploading } = link;
  let inFlight = ended.filter((one) => !one.acknowledged && one.number <= sentUpTo).length;
  for (const { number, acknowledged, result, files } of ended) {
    if (acknowledged || number <= sentUpTo) continue;
    if (uploading !== null || inFlight >= limits.agentResultsInFlightMax) break;
    if (files.length > 0 && !turn.state.uploaded.includes(number)) {
      uploading = number;
      turn.emit({ kind: 'upload-files', number, lineage: link.lineage, digests: files });
      break;
    }
    say(turn, { type: 'result', number, result });
    sentUpTo = number;
    inFlight += 1;
  }
  if (sentUpTo !== link.sentUpTo || uploading !== link.uploading)
    turn.relink({ ...link, sentUpTo, uploading });
}

function pull(turn: Turn): void {
  const { link, pullAgainAtMs } = turn.state;
  if (link.kind !== 'joined' || !wantsWork(turn.state, link)) {
    // What had to be looked at again is no longer the question; an alarm for it would come again and again.
    if (pullAgainAtMs !== null) turn.state = { ...turn.state, pullAgainAtMs: null };
    return;
  }
  const obstacle = withholdsPull(turn);
  if (obstacle === undefined) {
    turn.relink({ ...link, pulled: true });
    turn.state = { ...turn.state, pullAgainAtMs: null };
    say(turn, { type: 'pull', credit: limits.segmentJobsMax });
    return;
  }
  if (pullAgainAtMs === null) turn.note('warn', `not asking for work: ${obstacle}`);
  if (pullAgainAtMs === null || pullAgainAtMs <= turn.now.monotonicMs) {
    turn.state = { ...turn.state, pullAgainAtMs: turn.now.monotonicMs + limits.agentPullRecheckMs };
  }
}

function wantsWork(state: AgentState, link: Joined): boolean {
  const { activity, ledger } = state;
  if (link.pulled || activity.kind !== 'idle' || ledger.jobs.length > 0) return false;
  if (isRebooting(state) || isGivingWay(state)) return false;
  return !ledger.ended.some((one) => !one.acknowledged && one.number > link.sentUpTo);
}

/** Backpressure: what is kept for the coordinator is bounded by not making more of it. */
function withholdsPull({ state, now }: Turn): string | undefined {
  const { ended } = state.ledger;
  if (now.freeBytes < limits.agentFreeBytesMin) {
    return `less than ${limits.agentFreeBytesMin} bytes are free in the file system of the state folder; free some`;
  }
  if (ended.length >= limits.agentResultsUnacknowledgedMax) {
    return `${ended.length} attempts wait for the coordinator to acknowledge their results or logs`;
  }
  const logBytes = ended.reduce(
    (sum, one) => (one.logsAcknowledged ? sum : sum + one.result.logs.stdout + one.result.logs.stderr),
    0,
  );
  if (logBytes >= limits.agentLogsWaitingBytesMax) {
    return `${logBytes} bytes of logs wait for the coordinator to acknowledge them`;
  }
  return undefined;
}
