/**
 * The agents' gateway: turns what agents say into commands. It holds the connections and nothing that has to
 * survive them; whether a message counts is decided by the core, which hears of it only through commands. What
 * was decided goes out by delivery.ts. See shared/messages.ts for the protocol.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { assertNever } from '../../shared/assert.ts';
import { parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import {
  type AgentMessage,
  type Hello,
  type Iteration,
  parseAgentFrame,
  protocolVersion,
} from '../../shared/messages.ts';
import type { Effect } from '../core/commands.ts';
import type { Settled } from '../sequence/command-queue.ts';
import { boundedComplaints, type Complain } from './complaints.ts';
import { AgentConnection, type AgentSocket, closeCodes, type Identity } from './connection.ts';
import { Delivery } from './delivery.ts';
import { LogIntake, type LogPiece } from './log-intake.ts';
import { Outbox } from './outbox.ts';
import { JoinPace } from './pace.ts';
import type { GatewayPorts } from './ports.ts';
import { GrantWatch, type Stall } from './stalls.ts';
import { openDoor } from './upgrade.ts';

type Fenced = AgentMessage & { readonly type: 'fenced' };

/** The oldest protocol that is still spoken here. */
const protocolVersionMin = 1;

/** As which node an agent was let in; it may have said another name. */
function nodeWelcomed(settled: Settled): string | undefined {
  if (!settled.ok) return undefined;
  for (const effect of settled.effects) if (effect.kind === 'welcome') return effect.node;
  return undefined;
}

export class Gateway {
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly #ports: GatewayPorts;
  readonly #complain: Complain;
  readonly #connections = new Set<AgentConnection>();
  readonly #byNode = new Map<string, AgentConnection>();
  /** Who sends the log of an attempt that is for another node. */
  readonly #printers = new Map<string, string>();
  /** Hellos that the core is deciding about, by node. */
  readonly #joining = new Map<string, AgentConnection>();
  readonly #outbox = new Outbox();
  readonly #grants = new GrantWatch();
  readonly #delivery: Delivery;
  readonly #sweep: NodeJS.Timeout;

  constructor(ports: GatewayPorts) {
    this.#ports = ports;
    this.#complain = boundedComplaints(ports.warn, ports.now);
    this.#delivery = new Delivery(ports, this.#byNode, this.#outbox, this.#grants);
    const pace = new JoinPace();
    this.upgrade = openDoor({
      admit: (authorization) =>
        this.#connections.size < limits.connectionsMax
          ? ports.admit(authorization)
          : {
              ok: false,
              code: 'too-many',
              detail: `${limits.connectionsMax} agents are connected; no more fit`,
            },
      putOff: () => pace.ask(ports.now()),
      welcome: (socket, token, peer) => this.#attend(socket, token, peer),
    });
    this.#sweep = setInterval(() => this.#endOverdue(), limits.connectionSweepMs);
  }

  /** Connections that are past their hello. */
  get agents(): number {
    return this.#byNode.size;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Agents that answer and do not get on with what they were granted. */
  get stalled(): number {
    return this.#grants.count;
  }

  stallOf(node: string): Stall | undefined {
    return this.#grants.stallOf(node, this.#ports.now());
  }

  /** The last one that the node told of on this connection, of whatever attempt. */
  iterationOf(node: string): Iteration | undefined {
    return this.#byNode.get(node)?.iteration ?? undefined;
  }

  /** Carries out what was decided and is durable; frames leave with `flush`. */
  deliver(effects: readonly Effect[]): void {
    for (const effect of effects) this.#delivery.deliver(effect);
  }

  flush(): void {
    this.#outbox.flush();
  }

  roomAgain(): void {
    for (const connection of this.#connections) connection.resume('queue', this.#ports.now());
  }

  /** These parts of logs are on disk. */
  acknowledgeLogs(durable: readonly { attempt: string; stream: LogPiece['stream']; upTo: number }[]): void {
    for (const { attempt, stream, upTo } of durable) {
      const node = this.#printers.get(attempt) ?? parseAttemptId(attempt)?.node;
      if (node !== undefined) this.#delivery.send(node, { type: 'ack-log', attempt, stream, upTo });
    }
  }

  /** Ends the connections that came with a token that is not valid any more. */
  dropToken(token: string): void {
    for (const connection of this.#connections)
      if (connection.token === token) connection.close(closeCodes.refused, `token ${token} was revoked`);
  }

  /** Says good-bye to all, so that they come back soon, and waits for nobody. */
  close(): void {
    clearInterval(this.#sweep);
    this.#outbox.close();
    for (const connection of this.#connections) {
      connection.close(closeCodes.goingAway, 'the coordinator is ending');
      connection.abandon('the coordinator is ending');
    }
  }

  #attend(socket: WebSocket, token: string, peer: string): void {
    const connection = this.greet(socket, token, peer);
    socket.on('message', (content: Buffer, isBinary: boolean) => this.receive(connection, content, isBinary));
    // ws answers a broken frame with the right close code itself; here it is only told.
    socket.on('error', (error) =>
      this.#complain('an agent broke the websocket protocol', { peer, reason: error.message }),
    );
    socket.on('close', (code) => this.forget(connection, code));
  }

  /** Takes in a websocket that is open. What comes from it goes to `receive`; when it is closed, to `forget`. */
  greet(socket: AgentSocket, token: string, peer: string): AgentConnection {
    const connection = new AgentConnection(socket, token, peer, this.#ports.now());
    this.#connections.add(connection);
    const origin = this.#ports.origin();
    connection.enqueue({
      type: 'challenge',
      protocol: protocolVersion,
      protocolMin: protocolVersionMin,
      ...this.#ports.reign(),
      ...(origin === undefined ? {} : { origin }),
      nonce: randomBytes(16).toString('base64url'),
    });
    connection.flush();
    return connection;
  }

  receive(connection: AgentConnection, content: Buffer, isBinary: boolean): void {
    if (connection.phase.kind === 'leaving') return;
    connection.lastHeardAt = this.#ports.now();
    if (isBinary) {
      this.#refuse(connection, 'a frame is binary; frames are text');
      return;
    }
    const frame = parseAgentFrame(content.toString());
    if (!frame.ok) {
      this.#refuse(connection, frame.reason);
      return;
    }
    for (const message of frame.messages) {
      if (!connection.isOpen) return;
      this.#take(connection, message);
    }
    if (this.#ports.congested()) connection.pause('queue');
  }

  #take(connection: AgentConnection, message: AgentMessage): void {
    const { phase } = connection;
    if (message.type === 'ping') {
      this.#outbox.add(connection, { type: 'pong' });
      return;
    }
    if (message.type === 'pong') return;
    if (message.type === 'hello') {
      if (phase.kind === 'greeting') this.#join(connection, message);
      else this.#refuse(connection, 'a second hello');
      return;
    }
    if (message.type === 'fenced') {
      this.#yieldTo(connection, message);
      return;
    }
    if (phase.kind !== 'joined') {
      this.#refuse(connection, `${message.type} before the welcome`);
      return;
    }
    if (!this.#report(connection, phase.identity.node, message))
      connection.abandon('more was reported than can be queued; what is not acknowledged is sent again');
  }

  /** The agent has seen a reign that this one must give way to; if the queue is full, it says so again. */
  #yieldTo(connection: AgentConnection, { name: node, lineage, epoch, begunAt }: Fenced): void {
    this.#complain('an agent has seen a newer reign, nothing more is granted here', { node, lineage, epoch });
    this.#ports.post({ type: 'ReportNewerReign', node, lineage, epoch, begunAt });
    connection.close(closeCodes.refused, 'this coordinator gives way to the one that you have seen');
  }

  /** False when the queue was full. */
  #report(
    connection: AgentConnection,
    node: string,
    message: Exclude<AgentMessage, { type: 'hello' | 'fenced' | 'ping' | 'pong' }>,
  ): boolean {
    const { post } = this.#ports;
    switch (message.type) {
      case 'facts':
        return this.#reportFacts(connection, node, message.facts);
      case 'pull':
        if (!this.#joining.has(node)) return post({ type: 'PullJobs', node, credit: message.credit });
        // It must not become the credit of the connection that may be about to replace this one.
        connection.creditPutOff = message.credit;
        return true;
      case 'accepted':
        this.#grants.accepted(node, message.attempt, this.#ports.now());
        return true;
      case 'upgrade-failed': {
        const { offer, digest, reason } = message;
        return post({ type: 'ReportUpgradeFailed', node, offer, digest, reason });
      }
      case 'started': {
        const { attempt, at } = message;
        if (!this.#isOwn(connection, node, attempt)) return true;
        this.#grants.forget(node);
        return post({ type: 'ReportStarted', node, attempt, nodeAt: at });
      }
      case 'iterated': {
        const { type: _type, ...iteration } = message;
        if (this.#isOwn(connection, node, iteration.attempt)) connection.iteration = iteration;
        return true;
      }
      case 'result': {
        const { number, result } = message;
        if (!this.#isOwn(connection, node, result.attempt)) return true;
        this.#grants.forget(node);
        return post({ type: 'ReportResult', node, number, result });
      }
      case 'log': {
        if (!this.#isOwn(connection, node, message.attempt)) return true;
        if (parseAttemptId(message.attempt)?.node !== node) this.#printers.set(message.attempt, node);
        this.#intakeOf(connection).push(message).catch(this.#ports.onLogFailure);
        return true;
      }
      default:
        assertNever(message);
    }
  }

  /** Most agents print nothing most of the time: made when the first piece comes. */
  #intakeOf(connection: AgentConnection): LogIntake {
    connection.logs ??= new LogIntake(this.#ports.takeLog, {
      isOpen: () => connection.isOpen,
      acknowledge: ({ attempt, stream }, upTo) =>
        this.#outbox.add(connection, { type: 'ack-log', attempt, stream, upTo }),
      refuse: (reason) => this.#refuse(connection, reason),
      pause: () => connection.pause('logs'),
      resume: () => connection.resume('logs', this.#ports.now()),
    });
    return connection.logs;
  }

  #reportFacts(connection: AgentConnection, node: string, facts: unknown): boolean {
    const outcome = this.#ports.reportFacts(node, facts);
    if (outcome === 'too-large') this.#refuse(connection, `facts of more than ${limits.factsBytesMax} bytes`);
    return outcome !== 'full';
  }

  /** An agent speaks for its own node only. */
  #isOwn(connection: AgentConnection, node: string, attempt: string): boolean {
    if (parseAttemptId(attempt)?.node === node || this.#ports.carriesOut(attempt)) return true;
    this.#refuse(connection, `attempt ${attempt} is not of node ${node}`);
    return false;
  }

  #join(connection: AgentConnection, hello: Hello): void {
    const { name: node, incarnation, counter } = hello;
    if (hello.protocol < protocolVersionMin) {
      const reason = `protocol ${hello.protocol} is too old, the oldest spoken here is ${protocolVersionMin}: upgrade the agent`;
      this.#reject(connection, reason, null);
      return;
    }
    const identity = { node, incarnation, counter };
    connection.phase = { kind: 'joining', identity };
    this.#joining.set(node, connection);
    const { token } = connection;
    this.#ports.post({ type: 'ConnectAgent', hello, token }, (settled) => {
      if (this.#joining.get(node) === connection) this.#joining.delete(node);
      const welcomed = nodeWelcomed(settled);
      const known = { ...identity, node: welcomed ?? node };
      this.#settleJoin(connection, known, hello, settled, welcomed !== undefined);
      this.#giveCreditPutOff(known.node);
    });
  }

  #settleJoin(
    connection: AgentConnection,
    identity: Identity,
    hello: Hello,
    settled: Settled,
    welcomed: boolean,
  ): void {
    const { node } = identity;
    if (!connection.isOpen) {
      if (welcomed) this.#sayDisconnected(identity, connection.endReason ?? 'it went away while it joined');
      return;
    }
    if (welcomed) {
      const previous = this.#byNode.get(node);
      this.#byNode.set(node, connection);
      connection.phase = { kind: 'joined', identity };
      connection.joined = identity;
      previous?.close(closeCodes.replaced, 'replaced by a newer connection');
      this.#grants.forget(node);
      this.#grants.returned(node, hello, this.#ports.now());
      return;
    }
    if (!settled.ok) {
      this.#reject(connection, settled.error.message, limits.rejectedRetryMs);
      return;
    }
    for (const effect of settled.effects)
      if (effect.kind === 'reject') this.#reject(connection, effect.reason, effect.retryAfterMs);
  }

  /** The other connection did not take the place of this one after all. */
  #giveCreditPutOff(node: string): void {
    const connection = this.#byNode.get(node);
    if (connection === undefined || connection.creditPutOff === null || this.#joining.has(node)) return;
    const credit = connection.creditPutOff;
    connection.creditPutOff = null;
    if (!this.#ports.post({ type: 'PullJobs', node, credit })) connection.abandon('the queue is full');
  }

  #reject(connection: AgentConnection, reason: string, retryAfterMs: number | null): void {
    this.#complain('an agent was rejected', { peer: connection.peer, reason });
    connection.enqueue({ type: 'rejected', reason: reason.slice(0, reasonLengthMax), retryAfterMs });
    connection.close(closeCodes.refused, reason);
  }

  /** It broke the protocol: whatever it says next cannot be trusted to mean what it says. */
  #refuse(connection: AgentConnection, reason: string): void {
    const node = connection.joined?.node;
    this.#complain('an agent broke the protocol', { peer: connection.peer, node, reason });
    connection.close(closeCodes.violation, reason);
  }

  forget(connection: AgentConnection, code: number): void {
    this.#connections.delete(connection);
    this.#outbox.drop(connection);
    const { joined, endReason } = connection;
    if (joined === null) return;
    for (const [attempt, node] of this.#printers) if (node === joined.node) this.#printers.delete(attempt);
    if (this.#byNode.get(joined.node) === connection) {
      this.#byNode.delete(joined.node);
      this.#grants.forget(joined.node);
    }
    this.#sayDisconnected(
      joined,
      endReason ?? (code === lostCode ? 'the connection was lost' : 'the agent left'),
    );
  }

  #sayDisconnected(identity: Identity, reason: string): void {
    this.#ports.post({ type: 'DisconnectAgent', ...identity, reason });
  }

  /** One pass over all connections instead of a timer for each. */
  #endOverdue(): void {
    const now = this.#ports.now();
    for (const connection of this.#connections) {
      const reason = connection.overdue(now);
      if (reason === undefined) continue;
      if (connection.phase.kind === 'greeting') this.#refuse(connection, reason);
      else connection.abandon(reason);
    }
    for (const { node, attempt, sentence } of this.#grants.newlyStalled(now))
      this.#complain(sentence, { node, attempt });
  }
}

/** What ws says when there was no close frame. */
const lostCode = 1006;

const reasonLengthMax = 1_024;
