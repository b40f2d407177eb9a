/**
 * One agent's websocket: what phase it is in, and what waits to be sent in the next frame. What messages
 * mean is in gateway.ts.
 */
import { WebSocket } from 'ws';
import { limits } from '../../shared/limits.ts';
import type { CoordinatorMessage, Iteration } from '../../shared/messages.ts';
import type { LogIntake } from './log-intake.ts';

/**
 * `greeting`: nothing was heard yet. `joining`: the core decides about its hello. `leaving`: it was told to go,
 * and what comes from it does not count.
 */
export type Phase =
  | { readonly kind: 'greeting'; readonly until: number }
  | { readonly kind: 'joining' | 'joined'; readonly identity: Identity }
  | { readonly kind: 'leaving' };

/** The queue of commands is long, or the log store has no room. */
type PauseReason = 'queue' | 'logs';

/** Who it said it is; the counter tells it from other connections of the same node. */
export type Identity = { readonly node: string; readonly incarnation: string; readonly counter: number };

/** What is asked of the websocket below: the one of `ws`, and in test/simulation/ one without a network. */
export type AgentSocket = Pick<
  WebSocket,
  'readyState' | 'bufferedAmount' | 'pause' | 'resume' | 'terminate'
> & {
  send(frame: string): void;
  close(code: number, reason: string): void;
};

/** Of the websocket protocol's range for applications; the agent only logs them. */
export const closeCodes = { goingAway: 1001, violation: 1008, replaced: 4001, refused: 4003 };

export class AgentConnection {
  readonly socket: AgentSocket;
  /** Id of the token it came with. */
  readonly token: string;
  /** From which address, for people. */
  readonly peer: string;
  phase: Phase;
  lastHeardAt: number;
  /** Credit that it asked for while another connection of the same name is being decided about. */
  creditPutOff: number | null = null;
  logs: LogIntake | null = null;
  /** How far the job has come that it runs, as far as it tells. Dies with the connection, and is never journaled. */
  iteration: Iteration | null = null;
  /** Why nothing is read from it now. */
  readonly #pauses = new Set<PauseReason>();
  /** Set once it was welcomed, and kept when it leaves. */
  joined: Identity | null = null;
  /** Why it was ended from this side; null while it was not. */
  endReason: string | null = null;
  #outgoing: string[] = [];

  constructor(socket: AgentSocket, token: string, peer: string, now: number) {
    this.socket = socket;
    this.token = token;
    this.peer = peer;
    this.phase = { kind: 'greeting', until: now + limits.helloWaitMs };
    this.lastHeardAt = now;
  }

  get isPaused(): boolean {
    return this.#pauses.size > 0;
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN && this.phase.kind !== 'leaving';
  }

  /** Why it is given up: it says nothing. Undefined while it has time left. */
  overdue(now: number): string | undefined {
    if (this.phase.kind === 'greeting')
      return this.phase.until <= now ? `no hello within ${limits.helloWaitMs} ms` : undefined;
    const silenceMsMax = 2 * limits.heartbeatIntervalMs;
    if (this.isPaused || now - this.lastHeardAt <= silenceMsMax) return undefined;
    return `not heard for ${silenceMsMax} ms`;
  }

  pause(because: PauseReason): void {
    this.#pauses.add(because);
    this.socket.pause();
  }

  /** Silence while it was not read from does not count. */
  resume(because: PauseReason, now: number): void {
    if (!this.#pauses.delete(because) || this.isPaused) return;
    this.lastHeardAt = now;
    this.socket.resume();
  }

  /** Puts a message into the next frame. Returns its length, for bounds. */
  enqueue(message: CoordinatorMessage): number {
    const text = JSON.stringify(message);
    this.#outgoing.push(text);
    return text.length;
  }

  /** Sends all that waits, in as few frames as the bounds of a frame allow. */
  flush(): void {
    const messages = this.#outgoing;
    this.#outgoing = [];
    if (this.socket.readyState !== WebSocket.OPEN) return;
    let frame: string[] = [];
    let length = 0;
    for (const message of messages) {
      if (
        frame.length > 0 &&
        (length + message.length > frameLengthAim || frame.length >= limits.frameMessagesMax)
      ) {
        this.socket.send(`[${frame.join(',')}]`);
        frame = [];
        length = 0;
      }
      frame.push(message);
      length += message.length;
    }
    if (frame.length > 0) this.socket.send(`[${frame.join(',')}]`);
    // It does not read: what it was sent is sent again to the connection that it makes when it can.
    if (this.socket.bufferedAmount > limits.connectionUnsentBytesMax)
      this.abandon('it does not read what it is sent');
  }

  /** Sends what waits, then says good-bye. Nothing that comes from it afterwards counts. */
  close(code: number, reason: string): void {
    this.flush();
    this.#leave(reason);
    this.socket.close(code, shortened(reason));
  }

  /** Ends it without a word, because nobody would hear it. */
  abandon(reason: string): void {
    this.#leave(reason);
    this.socket.terminate();
  }

  #leave(reason: string): void {
    this.phase = { kind: 'leaving' };
    this.endReason ??= reason;
  }
}

/** Many small messages share a frame; a frame that is full of them is still far below `messageBytesMax`. */
const frameLengthAim = 64 * 1024;

/** A close frame has room for 123 bytes. */
function shortened(reason: string): string {
  const bytes = Buffer.from(reason);
  return bytes.length <= 123 ? reason : `${bytes.toString('utf8', 0, 117).replace(/\uFFFD+$/, '')}…`;
}
