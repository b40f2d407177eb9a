/**
 * Keeps one websocket to one of the coordinators: connects, reconnects for ever, parses what comes, puts what
 * is ready in the same tick into one frame, and notices a peer that is gone. What messages mean is decided in
 * the core.
 */
import { WebSocket } from 'ws';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { type AgentMessage, type CoordinatorMessage, parseCoordinatorFrame } from '../../shared/messages.ts';
import { reconnectDelayMs, socketUrl } from './addresses.ts';

export type LinkParts = {
  /** Base URLs; tried in turn. At least one. */
  readonly coordinators: readonly [URL, ...URL[]];
  readonly token: string;
  readonly onMessages: (messages: readonly CoordinatorMessage[]) => void;
  readonly onDown: () => void;
  /** The coordinator does not accept the token (HTTP 401 or 403). */
  readonly onUnauthorized: (url: URL) => void;
  readonly note: (level: 'info' | 'warn' | 'error', text: string) => void;
};

export class CoordinatorLink {
  readonly #parts: LinkParts;
  #socket: WebSocket | undefined;
  #localAddress: string | undefined;
  #outgoing: AgentMessage[] = [];
  #joined = false;
  #index = 0;
  /** Since the link was last up. */
  #failures = 0;
  #notBeforeMs = 0;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #openedAtMs = 0;
  #heardAtMs = 0;
  #sentAtMs = 0;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /** The coordinator that is linked, or tried next. */
  get coordinator(): URL {
    const { coordinators } = this.#parts;
    return coordinators[this.#index] ?? coordinators[0];
  }

  get localAddress(): string | undefined {
    return this.#localAddress;
  }

  connect(): void {
    const url = this.coordinator;
    const socket = new WebSocket(socketUrl(url), {
      headers: { authorization: `Bearer ${this.#parts.token}` },
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      handshakeTimeout: limits.helloWaitMs,
    });
    this.#socket = socket;
    let problem: string | undefined;
    socket.on('upgrade', (response) => {
      this.#localAddress = response.socket.localAddress;
    });
    socket.on('unexpected-response', (_request, response) => {
      problem = `HTTP ${response.statusCode ?? '?'} instead of a websocket; is this a Lockstep coordinator?`;
      response.destroy();
      // Trying again would be refused again: somebody has to bring another token.
      if (response.statusCode === 401 || response.statusCode === 403) {
        this.#closed = true;
        this.#parts.onUnauthorized(url);
      }
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
      this.#down(problem ?? `the connection was closed (code ${code}${said})`);
    });
  }

  #take(messages: readonly CoordinatorMessage[]): void {
    for (const message of messages) {
      if (message.type === 'ping') this.send({ type: 'pong' });
      if (message.type === 'welcome') {
        this.#joined = true;
        this.#failures = 0;
        this.#watch(message.heartbeatMs);
      }
    }
    this.#parts.onMessages(messages);
  }

  /** Goes with everything else that is sent in the same tick. Nothing is sent without a connection. */
  send(message: AgentMessage): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush());
    this.#outgoing.push(message);
  }

  /** Ends the connection, and comes back after at least that time. */
  hangUp(reason: string, retryAfterMs: number): void {
    if (this.#socket === undefined) return;
    this.#notBeforeMs = retryAfterMs;
    // What was said last should arrive; a peer that is gone would only be waited for.
    if (this.#outgoing.length > 0) {
      this.#flush();
      this.#socket.close(1000);
    } else this.#socket.terminate();
    this.#down(reason);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#watchdog);
    this.#flush();
    this.#socket?.close(1001);
  }

  #flush(): void {
    const messages = this.#outgoing;
    this.#outgoing = [];
    const socket = this.#socket;
    if (messages.length === 0 || socket?.readyState !== WebSocket.OPEN) return;
    this.#sentAtMs = performance.now();
    for (const frame of framesOf(messages)) socket.send(frame);
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

  #down(reason: string): void {
    const wasJoined = this.#joined;
    const { coordinator } = this;
    this.#socket = undefined;
    this.#outgoing = [];
    this.#joined = false;
    clearInterval(this.#watchdog);
    this.#parts.onDown();
    if (this.#closed) return;
    const { coordinators, note } = this.#parts;
    this.#failures += 1;
    if (!wasJoined) this.#index = (this.#index + 1) % coordinators.length;
    // Who asked for patience gets it; another coordinator did not ask.
    const isSame = wasJoined || this.#failures % coordinators.length === 0;
    const delayMs = Math.max(
      reconnectDelayMs(this.#failures, coordinators.length, Math.random()),
      isSame ? this.#notBeforeMs : 0,
    );
    this.#notBeforeMs = 0;
    const text = `${wasJoined ? 'lost the link to' : 'cannot link to'} ${coordinator.href}: ${reason}`;
    if (wasJoined || isWorthTelling(this.#failures))
      note('warn', `${text}; trying again for as long as it takes`);
    this.#retry = setTimeout(() => this.connect(), delayMs);
  }
}

/** The first failure, then ever more seldom: a coordinator may be away for days. */
const isWorthTelling = (failures: number): boolean => Number.isInteger(Math.log2(failures));

/** In order, each within the bounds of a frame. */
function framesOf(messages: readonly AgentMessage[]): string[] {
  const frames: string[] = [];
  let texts: string[] = [];
  let length = 0;
  for (const message of messages) {
    const text = JSON.stringify(message);
    // One more for the comma, two for the brackets.
    const bytes = Buffer.byteLength(text) + 1;
    if (texts.length === limits.frameMessagesMax || length + bytes + 2 > limits.messageBytesMax) {
      if (texts.length > 0) frames.push(`[${texts.join(',')}]`);
      texts = [];
      length = 0;
    }
    texts.push(text);
    length += bytes;
  }
  frames.push(`[${texts.join(',')}]`);
  return frames;
}
