/**
 * One life of the coordinator, from recovery to its end: the real loop (sequencer) and the real gateway on
 * simulated time, disk and sockets. It decides nothing.
 */
import type { Command, Lookup } from '../../coordinator/core/commands.ts';
import { mayBeCarriedOutByOthers } from '../../coordinator/core/executors.ts';
import { originOf } from '../../coordinator/core/restoration.ts';
import type { State } from '../../coordinator/core/state.ts';
import type { Store } from '../../coordinator/sequence/batch.ts';
import { Contents, digestOf } from '../../coordinator/sequence/contents.ts';
import { Sequencer } from '../../coordinator/sequencer.ts';
import type { AgentConnection } from '../../coordinator/ws/connection.ts';
import { Gateway } from '../../coordinator/ws/gateway.ts';
import { canonicalJson } from '../../shared/canonical-json.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { Connection, End } from './connection.ts';
import type { CoordinatorDisk } from './coordinator-disk.ts';
import { type CoordinatorProgram, frameFor } from './coordinator-programs.ts';
import type { Judge } from './judge.ts';
import { LogShelf } from './log-shelf.ts';
import { SimulatedSocket } from './simulated-socket.ts';
import { type Life, newLife, type Timeline } from './timeline.ts';

export type CoordinatorParts = {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly judge: Judge;
  readonly disk: CoordinatorDisk;
  readonly program: CoordinatorProgram;
  /** Its wall clock at the start, which may be wrong. */
  readonly wallMs: number;
  /** An old copy that somebody started: what it journals is not the truth. */
  readonly isImpostor: boolean;
  readonly onEnd: () => void;
};

export class CoordinatorProcess {
  readonly life: Life;
  readonly state: State;
  readonly lookup: Lookup;
  readonly #parts: CoordinatorParts;
  readonly #sequencer: Sequencer;
  readonly #gateway: Gateway;
  readonly #logs: LogShelf;
  readonly #sockets = new Set<SimulatedSocket>();
  isListening = false;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    const { timeline, disk, judge } = parts;
    this.life = newLife('coordinator', true);
    this.state = disk.recover();
    if (!parts.isImpostor) judge.show((checker) => checker.recovered?.(this.state, disk.events));
    const begunAt = timeline.now;
    const originMs = Math.max(parts.wallMs, this.state.at);
    const clock = { now: () => originMs + Math.floor(timeline.now - begunAt) };
    const contents = new Contents({
      text: (digest) => disk.texts.get(digest),
      secret: (reference) => disk.secrets.get(reference),
      secretRoom: () => ({ count: limits.secretsMax - disk.secrets.size, bytes: limits.secretsBytesMax }),
      logTail: (attempt, bytes) => this.#logs.tailNow(attempt, bytes),
    });
    this.lookup = contents;
    this.#logs = new LogShelf(timeline, disk, this.state, this.life, (durable) =>
      this.#gateway.acknowledgeLogs(durable),
    );
    this.#gateway = timeline.within(this.life, () => this.#newGateway(clock.now, contents));
    this.#sequencer = new Sequencer({
      state: this.state,
      contents,
      clock,
      store: this.#storeOf(contents),
      edge: this.#gateway,
      recoverTo: async (seq) => disk.recover(seq),
      onFatal: (what, error) => {
        if (what === 'invariant') judge.accuse(error);
        else this.kill('its disk failed', true);
      },
    });
  }

  #newGateway(now: () => number, contents: Contents): Gateway {
    const { judge } = this.#parts;
    return new Gateway({
      admit: () => ({ ok: true, token: 'join' }),
      reign: () => ({ lineage: this.state.lineage, epoch: this.state.epoch }),
      origin: () => originOf(this.state),
      post: (command, settle) => this.#sequencer.post(command, settle),
      congested: () => this.#sequencer.congested,
      reportFacts: (node, facts) => {
        const text = canonicalJson(facts);
        const digest = digestOf(text);
        return this.#sequencer.post({ type: 'ReportFacts', node, digest }, null, { digest, text })
          ? 'posted'
          : 'full';
      },
      takeLog: (piece) => this.#logs.take(piece),
      carriesOut: (attempt) => mayBeCarriedOutByOthers(this.state, attempt),
      onLogFailure: (error) => judge.accuse(error),
      secret: contents.secret,
      now,
      warn: (what, details) => judge.tell(() => `gateway: ${what} ${JSON.stringify(details)}`),
    });
  }

  /** What agents fetch by digest; null when it is not stored. */
  content(digest: string): string | null {
    return this.#parts.disk.texts.get(digest) ?? null;
  }

  /** What agents upload is on disk when they are told that it was taken. */
  take(digest: string, text: string): boolean {
    const { disk } = this.#parts;
    if (disk.isFull) return false;
    disk.texts.set(digest, text);
    return true;
  }

  /** Within its own life. Nobody is let in before the reign is durable. */
  start(): void {
    const { timeline, disk, judge, program } = this.#parts;
    timeline.after(
      0,
      () => {
        this.#sequencer.start();
        const command = {
          type: 'BeginReign',
          lineage: disk.lineage,
          epoch: this.state.epoch + 1,
          version: program.version,
        } as const;
        this.#sequencer.post(command, (settled) => {
          this.isListening = settled.ok;
          if (settled.ok) judge.tell(() => `coordinator: reigns in epoch ${this.state.epoch}`);
          else this.kill(settled.error.message, true);
        });
      },
      this.life,
    );
  }

  /** An operator says something. The answer comes when it is durable. */
  command(command: Command): void {
    const { timeline, judge, isImpostor } = this.#parts;
    const post = (): void => {
      this.#sequencer.post(command, (settled) => {
        const seq = settled.ok ? settled.events.at(-1)?.seq : undefined;
        if (seq !== undefined && !isImpostor) judge.show((checker) => checker.operatorTold?.(seq));
      });
    };
    timeline.after(0, post, this.life);
  }

  get isQuiet(): boolean {
    return this.#sequencer.queued === 0 && this.state.seq === this.#parts.disk.durableSeq;
  }

  /** A websocket that somebody opened: what to do with what comes from it. */
  accept(connection: () => Connection, node: string): End & { readonly open: () => void } {
    const { timeline, judge, random, isImpostor, program } = this.#parts;
    let socket: SimulatedSocket | undefined;
    let attended: AgentConnection | undefined;
    const gone = (code: number): void => {
      if (socket !== undefined) this.#sockets.delete(socket);
      if (attended !== undefined) this.#gateway.forget(attended, code);
    };
    return {
      open: () => {
        socket = new SimulatedSocket({
          timeline,
          random,
          side: connection().coordinator,
          closed: gone,
          said: (message) => {
            if (!isImpostor)
              judge.show((checker) => checker.coordinatorSaid?.(node, message, this.#parts.disk.texts));
            judge.tell(() => `coordinator → ${node}: ${JSON.stringify(message).slice(0, 300)}`);
          },
        });
        this.#sockets.add(socket);
        attended = this.#gateway.greet(socket, 'join', node);
      },
      receive: (frame) => {
        if (attended !== undefined)
          this.#gateway.receive(attended, Buffer.from(frameFor(program, frame)), false);
      },
      closed: () => socket?.gone(),
    };
  }

  /**
   * The process is no more. What was not fsynced is lost, or was on disk though nobody had heard of it. Its
   * kernel ends its connections, unless the power was cut.
   */
  kill(why: string, kernelLives: boolean): void {
    if (!this.life.alive) return;
    this.life.alive = false;
    this.isListening = false;
    this.#parts.judge.tell(() => `coordinator: ends because ${why}`);
    for (const socket of this.#sockets) kernelLives ? socket.side.close() : socket.side.forget();
    this.#dying();
    this.#parts.onEnd();
  }

  #dying: () => void = () => undefined;

  #storeOf(contents: Contents): Store {
    const { timeline, disk, random, judge, isImpostor } = this.#parts;
    const fsyncMs = (): number => (random.chance(0.02) ? 500 * random.next() : 0.2 + 8 * random.next());
    const after = (done: () => void): Promise<void> =>
      new Promise((resolve, reject) => {
        timeline.after(fsyncMs(), () => {
          if (disk.isFull) reject(new LockstepError('disk-full', 'no space is left'));
          else {
            done();
            resolve();
          }
        });
      });
    return {
      append: (events) =>
        new Promise((resolve, reject) => {
          const write = (): void => {
            for (const event of events) {
              disk.events.push(event);
              if (!isImpostor) judge.show((checker) => checker.journaled?.(event));
              judge.tell(() => `journal: ${JSON.stringify(event).slice(0, 9000)}`);
            }
          };
          this.#dying = () => {
            if (random.chance(0.3)) write();
          };
          timeline.after(fsyncMs(), () => {
            if (disk.isFailing) {
              disk.isFailing = false;
              reject(new Error('the fsync failed'));
              return;
            }
            this.#dying = () => undefined;
            if (disk.isFull) {
              reject(new LockstepError('disk-full', 'no space is left'));
              return;
            }
            write();
            resolve();
          });
        }),
      putSecrets: (secrets) =>
        after(() => {
          for (const { reference, value } of secrets) {
            disk.secrets.set(reference, value);
            contents.releaseSecret(reference);
          }
        }),
      putBlob: (digest, text) =>
        after(() => {
          disk.texts.set(digest, text);
          contents.releaseText(digest);
        }),
    };
  }
}
