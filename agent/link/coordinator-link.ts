/**
 * Keeps one websocket to one of the coordinators: connects, reconnects for ever and at once when the network
 * has changed, parses what comes, puts what is ready in the same tick into one frame, and notices a peer that
 * is gone. What messages mean is decided in the core.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { type AgentMessage, type CoordinatorMessage, parseCoordinatorFrame } from '../../shared/messages.ts';
import {
  type CoordinatorAddress,
  type CoordinatorAddresses,
  connectWaitMs,
  nameOf,
  reconnectDelayMs,
  retryAfterMs,
  socketUrl,
} from './addresses.ts';
import type { Dial } from './dial.ts';
import { frameOverheadBytes, framesOf, type Outgoing, outgoing } from './frames.ts';
import { reactionTo } from './network.ts';
import { type NetworkChange, NetworkWatch } from './network-watch.ts';
import type { Uplink } from './uplink.ts';

export type LinkParts = {
  readonly coordinators: CoordinatorAddresses;
  readonly token: string;
  readonly dial: Dial;
  readonly uplink: Uplink;
  readonly onMessages: (messages: readonly CoordinatorMessage[]) => void;
  readonly onDown: () => void;
  /** The coordinator does not accept the token (HTTP 401 or 403). */
  readonly onUnauthorized: (coordinator: CoordinatorAddress) => void;
  readonly note: (level: 'info' | 'warn' | 'error', text: string) => void;
};

export class CoordinatorLink {
  readonly #parts: LinkParts;
  readonly #network: NetworkWatch;
  /** Ends the connection that is there or is being made; null between two of them. */
  #attempt: AbortController | null = null;
  #socket: WebSocket | undefined;
  #localAddress: string | undefined;
  #outgoing: Outgoing[] = [];
  #joined = false;
  #index = 0;
  /** Since the link was last up. */
  #failures = 0;
  /** Since then, or since the network has changed. */
  #failuresHere = 0;
  #notBeforeMs = 0;
  /** When the coordinator asked to be left alone until, by the monotonic clock. */
  #aloneUntilMs = 0;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #beganAtMs = 0;
  #openedAtMs = 0;
  #heardAtMs = 0;
  #sentAtMs = 0;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#network = new NetworkWatch((change) => this.#onNetwork(change));
  }

  /** The coordinator that is linked, or tried next. */
  get coordinator(): CoordinatorAddress {
    const { coordinators } = this.#parts;
    return coordinators[this.#index] ?? coordinators[0];
  }

  get localAddress(): string | undefined {
    return this.#localAddress;
  }

  connect(): void {
    this.#network.watch(limits.networkLookDownMs);
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#beganAtMs = performance.now();
    const { dial, coordinators } = this.#parts;
    const waitMs = connectWaitMs(this.#failures, coordinators.length);
    dial(this.coordinator, waitMs, attempt.signal).then(
      (connection) => this.#upgrade(attempt, connection),
      (error: unknown) => {
        if (this.#attempt === attempt) this.#down(messageOf(error));
      },
    );
  }

  #upgrade(attempt: AbortController, connection: Socket): void {
    if (this.#attempt !== attempt) {
      connection.destroy();
      return;
    }
    this.#localAddress = connection.localAddress;
    // A peer that takes the connection and does not answer; ws lifts it once it has.
    connection.setTimeout(limits.helloWaitMs);
    const to = this.coordinator;
    const socket = new WebSocket(socketUrl(to.url), {
      headers: { authorization: `Bearer ${this.#parts.token}` },
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      handshakeTimeout: limits.helloWaitMs,
      createConnection: () => connection,
    });
    this.#socket = socket;
    let problem: string | undefined;
    let comeBackAfterMs: number | undefined;
    socket.on('unexpected-response', (_request, response) => {
      problem = `HTTP ${response.statusCode ?? '?'} instead of a websocket; is this a Lockstep coordinator?`;
      comeBackAfterMs = this.#readRefusal(to, response);
      socket.terminate();
    });
    socket.on('open', () => {
      this.#openedAtMs = performance.now();
      // A peer that accepts and then says nothing is given up like one that does not answer.
      this.#watch(limits.helloWaitMs);
    });
    socket.on('message', (bytes, isBinary) => {
      if (this.#socket !== socket) return;
      this.#heardAtMs = performance.now();
      const frame = isBinary
        ? ({ ok: false, reason: 'the frame is binary' } as const)
        : parseCoordinatorFrame(bytes.toString());
      if (!frame.ok)
        return this.hangUp(`the coordinator sent something else than messages: ${frame.reason}`, 0);
      this.#take(frame.messages);
    });
    socket.on('error', (error) => {
      problem ??= messageOf(error);
    });
    socket.on('close', (code, reason) => {
      if (this.#socket !== socket) return;
      const said = reason.length > 0 ? `: ${reason.toString()}` : '';
      if (comeBackAfterMs === undefined)
        this.#down(problem ?? `the connection was closed (code ${code}${said})`);
      else this.#stayAway(comeBackAfterMs);
    });
  }

  /** How long the coordinator wants to be left alone; undefined when it does not want this agent, or is none. */
  #readRefusal(from: CoordinatorAddress, response: IncomingMessage): number | undefined {
    response.destroy();
    const { statusCode, headers } = response;
    // Trying again would be refused again: somebody has to bring another token.
    if (statusCode === 401 || statusCode === 403) {
      this.#closed = true;
      this.#parts.onUnauthorized(from);
    }
    return statusCode === 503 || statusCode === 429 ? retryAfterMs(headers['retry-after']) : undefined;
  }

  #take(messages: readonly CoordinatorMessage[]): void {
    for (const message of messages) {
      if (message.type === 'ping') this.send({ type: 'pong' });
      if (message.type === 'welcome') {
        this.#joined = true;
        this.#failures = 0;
        this.#failuresHere = 0;
        this.#network.watch(limits.networkLookJoinedMs);
        this.#watch(message.heartbeatMs);
      }
    }
    this.#parts.onMessages(messages);
  }

  /** Goes with everything else that is sent in the same tick. Nothing is sent without a connection. */
  send(message: AgentMessage): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush());
    const one = outgoing(message);
    this.#parts.uplink.count(one.bytes);
    this.#outgoing.push(one);
  }

  /** Ends the connection, and comes back after at least that time. */
  hangUp(reason: string, retryAfterMs: number): void {
    if (this.#attempt === null) return;
    this.#notBeforeMs = retryAfterMs;
    // What was said last should arrive; a peer that is gone would only be waited for.
    if (this.#outgoing.length > 0) {
      this.#flush();
      this.#socket?.close(1000);
      this.#socket = undefined;
    }
    this.#down(reason);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#probe);
    clearInterval(this.#watchdog);
    this.#network.close();
    this.#flush();
    this.#socket?.close(1001);
    this.#attempt?.abort();
  }

  #flush(): void {
    const messages = this.#outgoing;
    this.#outgoing = [];
    const socket = this.#socket;
    if (messages.length === 0 || socket?.readyState !== WebSocket.OPEN) return;
    this.#sentAtMs = performance.now();
    for (const frame of framesOf(messages)) {
      this.#parts.uplink.count(frameOverheadBytes);
      socket.send(frame);
    }
  }

  #watch(intervalMs: number): void {
    clearInterval(this.#watchdog);
    this.#watchdog = setInterval(() => {
      const now = performance.now();
      const isGone = this.#joined
        ? now - this.#heardAtMs >= 2 * intervalMs
        : now - this.#openedAtMs >= intervalMs;
      if (isGone) this.hangUp(`the coordinator fell silent for ${intervalMs} ms and more`, 0);
      else if (this.#joined && now - Math.min(this.#heardAtMs, this.#sentAtMs) >= intervalMs)
        this.send({ type: 'ping' });
    }, intervalMs / 2);
  }

  #onNetwork({ before, after, hasSlept }: NetworkChange): void {
    const reaction = reactionTo(before, after, this.#joined, this.#localAddress ?? null);
    if (reaction === 'nothing' && !hasSlept) return;
    if (this.#joined) this.#probeLink(hasSlept ? 'this host was asleep' : 'the network has changed');
    else this.#tryAtOnce();
  }

  /** Whoever is there answers; two heartbeats would be long to wait for one who is not. */
  #probeLink(why: string): void {
    const askedAt = performance.now();
    this.send({ type: 'ping' });
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => {
      if (this.#heardAtMs < askedAt)
        this.hangUp(`${why}, and the coordinator did not answer within ${limits.linkProbeWaitMs} ms`, 0);
    }, limits.linkProbeWaitMs);
  }

  /** There may be a way now: what was begun on the old network, and patience with it, counts no more. */
  #tryAtOnce(): void {
    if (this.#closed || this.#socket !== undefined || performance.now() < this.#aloneUntilMs) return;
    this.#failuresHere = 0;
    // Where the network changes all the time, a try must not be cut off each time before it can succeed.
    if (this.#attempt !== null && performance.now() - this.#beganAtMs < limits.connectWaitMinMs) return;
    this.#drop();
    this.#parts.note('info', `the network has changed: trying ${nameOf(this.coordinator)} now`);
    this.#connectIn(Math.random() * limits.networkSettleMs);
  }

  /** It is there, and lets others in first: that is no failure. */
  #stayAway(ms: number): void {
    // Those who were told the same second do not come in the same moment.
    const delayMs = ms + Math.random() * 1_000;
    this.#drop();
    this.#parts.onDown();
    this.#parts.note('info', `${nameOf(this.coordinator)} lets others in first: coming again in ${ms} ms`);
    this.#aloneUntilMs = performance.now() + delayMs;
    this.#connectIn(delayMs);
  }

  #down(reason: string): void {
    const wasJoined = this.#joined;
    const name = nameOf(this.coordinator);
    this.#drop();
    this.#parts.onDown();
    if (this.#closed) return;
    const { coordinators, note } = this.#parts;
    this.#failures += 1;
    this.#failuresHere += 1;
    if (!wasJoined) this.#index = (this.#index + 1) % coordinators.length;
    // Who asked for patience gets it; another coordinator did not ask.
    const isSame = wasJoined || this.#failures % coordinators.length === 0;
    const askedMs = isSame ? this.#notBeforeMs : 0;
    this.#notBeforeMs = 0;
    this.#aloneUntilMs = performance.now() + askedMs;
    const text = `${wasJoined ? 'lost the link to' : 'cannot link to'} ${name}: ${reason}`;
    if (wasJoined || isWorthTelling(this.#failures))
      note('warn', `${text}; trying again for as long as it takes`);
    this.#connectIn(
      Math.max(reconnectDelayMs(this.#failuresHere, coordinators.length, Math.random()), askedMs),
    );
  }

  /** Whatever of a connection there is. */
  #drop(): void {
    const socket = this.#socket;
    const attempt = this.#attempt;
    this.#socket = undefined;
    this.#attempt = null;
    this.#outgoing = [];
    this.#joined = false;
    clearInterval(this.#watchdog);
    clearTimeout(this.#probe);
    attempt?.abort();
    socket?.terminate();
  }

  #connectIn(delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#network.watch(limits.networkLookDownMs);
    this.#retry = setTimeout(() => this.connect(), delayMs);
  }
}

/** The first failure, then ever more seldom: a coordinator may be away for days. */
const isWorthTelling = (failures: number): boolean => Number.isInteger(Math.log2(failures));
