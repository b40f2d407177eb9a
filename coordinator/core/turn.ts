/**
 * One decision in the making: events are evolved into the state as they are emitted, so that what follows
 * sees what came before. A rejection must come before the first event; afterwards there is no way back.
 */
import { assert } from '../../shared/assert.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Decision, Effect, Lookup, Secret } from './commands.ts';
import type { StoredValue } from './event-values.ts';
import type { Event, EventBody } from './events.ts';
import { evolve } from './evolve.ts';
import { bytesOfSecret, faultOfRoom } from './secret-room.ts';
import type { State } from './state.ts';

export class Turn {
  readonly state: State;
  readonly at: number;
  readonly lookup: Lookup;
  readonly events: Event[] = [];
  readonly effects: Effect[] = [];
  readonly secrets: Secret[] = [];
  readonly blobs: { digest: string; text: string }[] = [];
  /** How long the events will be, about: one decision is appended in one piece. */
  bytes = 0;
  #secretBytes = 0;

  constructor(state: State, at: number, lookup: Lookup) {
    this.state = state;
    this.at = Math.max(at, state.at);
    // What this very decision stores is nowhere else yet.
    const own = (digest: string): string | undefined =>
      this.blobs.find((blob) => blob.digest === digest)?.text;
    this.lookup = { ...lookup, text: (digest) => own(digest) ?? lookup.text(digest) };
  }

  emit(body: EventBody): void {
    const event: Event = { seq: this.state.seq + 1, at: this.at, ...withShortReason(body) };
    evolve(this.state, event);
    this.events.push(event);
    this.bytes += smallEventBytes + 3 * ('reason' in event ? (event.reason?.length ?? 0) : 0);
  }

  effect(effect: Effect): void {
    this.effects.push(effect);
  }

  /** Keeps a secret's value out of the journal: what is stored is a reference. */
  conceal(reference: string, value: unknown): StoredValue {
    const secret = { reference, value: JSON.stringify(value) };
    this.secrets.push(secret);
    this.#secretBytes += bytesOfSecret(secret);
    return { secret: reference };
  }

  /** Why what was concealed cannot be kept, or undefined. Asked before an event names it. */
  faultOfSecrets(): string | undefined {
    const taken = { count: this.secrets.length, bytes: this.#secretBytes };
    return faultOfRoom(taken, this.lookup.secretRoom());
  }

  /** Takes back what was concealed after the first `kept`: no event names it. */
  dropSecrets(kept: number): void {
    for (const secret of this.secrets.splice(kept)) this.#secretBytes -= bytesOfSecret(secret);
  }

  /** A value as the journal holds it: itself when short, else the digest of its JSON text. */
  store(value: unknown, inlineBytesMax: number): StoredValue {
    const text = JSON.stringify(value);
    if (text.length <= inlineBytesMax) return { value };
    const digest = this.lookup.digestOf(text);
    this.blobs.push({ digest, text });
    return { blob: digest };
  }

  decision(): Decision {
    return { ok: true, events: this.events, effects: this.effects, secrets: this.secrets, blobs: this.blobs };
  }
}

/** Names of run, step and node, and the numbers of an event; what else some hold is added by who emits them. */
const smallEventBytes = 512;

/** For those who emit an event that names many nodes. */
export const bytesOfNames = (count: number): number => count * limits.nodeNameBytesMax;

/** Reasons are for people, and some are made of names that nobody counted. */
function withShortReason(body: EventBody): EventBody {
  if (!('reason' in body) || body.reason === null || body.reason.length <= limits.reasonLengthMax)
    return body;
  return { ...body, reason: `${body.reason.slice(0, limits.reasonLengthMax - 1)}…` };
}

/** Thrown inside a decision before anything was emitted; becomes the answer to the command. */
export class Rejection extends Error {
  readonly error: LockstepError;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.error = new LockstepError(code, message);
  }
}

/** Runs one decision; a rejection after the first event is a bug, because state has moved on. */
export function decideWith(turn: Turn, decide: (turn: Turn) => void): Decision {
  try {
    decide(turn);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    assert(turn.events.length === 0, `rejected after an event: ${error.message}`);
    return { ok: false, error: error.error, effects: turn.effects };
  }
  return turn.decision();
}
