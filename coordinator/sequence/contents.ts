/**
 * What decisions look up: texts and secrets that the state names but does not hold. Decisions are synchronous
 * and may name content that was decided a moment ago and is not on disk yet, so what is on its way is held
 * here until it is there; what is on disk is read when needed and kept while it is used.
 */
import { hash } from 'node:crypto';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Lookup, SecretRoom } from '../core/commands.ts';
import { bytesOfSecret } from '../core/secret-room.ts';

/** What is on disk, read at once: the texts are small, and mostly in the page cache. */
export type ContentSource = {
  /** Undefined when there is none. */
  readonly text: (digest: string) => string | undefined;
  readonly secret: (reference: string) => string | undefined;
  readonly secretRoom: () => SecretRoom;
  /** See `Lookup`. */
  readonly logTail: (attempt: string, bytes: number) => string;
};

export const digestOf = (text: string): string => `sha256:${hash('sha256', text, 'hex')}`;

export class Contents implements Lookup {
  readonly #source: ContentSource;
  readonly #unstoredTexts = new Map<string, string>();
  readonly #unstoredSecrets = new Map<string, string>();
  #unstoredSecretBytes = 0;
  readonly #texts = new Recent<string>(limits.textsInMemoryBytesMax);
  readonly #facts = new Recent<object>(limits.factsInMemoryBytesMax);
  readonly digestOf = digestOf;

  constructor(source: ContentSource) {
    this.#source = source;
  }

  readonly facts = (digest: string): object | undefined => {
    const known = this.#facts.get(digest);
    if (known !== undefined) return known;
    const text = this.#find(digest);
    if (text === undefined) return undefined;
    const facts: unknown = JSON.parse(text);
    if (typeof facts !== 'object' || facts === null) return undefined;
    this.#facts.set(digest, facts, text.length);
    return facts;
  };

  readonly text = (digest: string): string => {
    const known = this.#texts.get(digest);
    if (known !== undefined) return known;
    const text = this.#find(digest);
    if (text === undefined)
      throw new LockstepError('damaged', `the content ${digest} is named by the journal and is not stored`);
    this.#texts.set(digest, text, text.length);
    return text;
  };

  readonly secret = (reference: string): string => {
    const secret = this.#unstoredSecrets.get(reference) ?? this.#source.secret(reference);
    if (secret === undefined)
      throw new LockstepError(
        'damaged',
        `the secret ${reference} is named by the journal and is not in the secret store`,
      );
    return secret;
  };

  readonly secretRoom = (): SecretRoom => {
    const { count, bytes } = this.#source.secretRoom();
    return { count: count - this.#unstoredSecrets.size, bytes: bytes - this.#unstoredSecretBytes };
  };

  readonly logTail = (attempt: string, bytes: number): string => this.#source.logTail(attempt, bytes);

  /** From now until it is on disk. */
  holdText(digest: string, text: string): void {
    this.#unstoredTexts.set(digest, text);
  }

  /** It is on disk now, and with it whoever else names the same content. */
  releaseText(digest: string): void {
    this.#unstoredTexts.delete(digest);
  }

  holdSecret(reference: string, value: string): void {
    this.releaseSecret(reference);
    this.#unstoredSecrets.set(reference, value);
    this.#unstoredSecretBytes += bytesOfSecret({ reference, value });
  }

  releaseSecret(reference: string): void {
    const value = this.#unstoredSecrets.get(reference);
    if (value === undefined) return;
    this.#unstoredSecrets.delete(reference);
    this.#unstoredSecretBytes -= bytesOfSecret({ reference, value });
  }

  #find(digest: string): string | undefined {
    return this.#unstoredTexts.get(digest) ?? this.#source.text(digest);
  }
}

/** Keeps what was used last, up to a total weight. */
class Recent<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly weight: number }>();
  readonly #weightMax: number;
  #weight = 0;

  constructor(weightMax: number) {
    this.#weightMax = weightMax;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    // A Map keeps the order of insertion: putting it back makes it the youngest.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: T, weight: number): void {
    if (weight > this.#weightMax) return;
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    for (const [oldest, entry] of this.#entries) {
      if (this.#weight <= this.#weightMax) return;
      this.#entries.delete(oldest);
      this.#weight -= entry.weight;
    }
  }
}
