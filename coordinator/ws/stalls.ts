/**
 * Agents that answer pings and make no progress: a grant went out, and was not accepted, or not started, for
 * longer than any healthy node takes. This is a report for people and never decides anything: it is not
 * journaled, and begins anew with each connection. An attempt that runs is the business of its timeout.
 */
import { limits } from '../../shared/limits.ts';
import type { Hello } from '../../shared/messages.ts';

export type Stall = { readonly attempt: string; readonly sentence: string };

type Awaited = { readonly attempt: string; readonly what: 'accepted' | 'started'; readonly since: number };

export class GrantWatch {
  /** By node: each has one job at a time. */
  readonly #awaited = new Map<string, Awaited>();
  readonly #reported = new Set<Awaited>();

  /** `attempt` is the first of what was granted: the others wait for it on the node. */
  granted(node: string, attempt: string, now: number): void {
    this.#await(node, { attempt, what: 'accepted', since: now });
  }

  accepted(node: string, attempt: string, now: number): void {
    const awaited = this.#awaited.get(node);
    if (awaited?.attempt === attempt && awaited.what === 'accepted')
      this.#await(node, { attempt, what: 'started', since: now });
  }

  /** It came with what it holds. What comes after something that runs, or after a reboot, has time. */
  returned(node: string, { held, rebooting }: Hello, now: number): void {
    this.forget(node);
    const [first] = held.filter(({ state }) => state !== 'ended');
    if (first?.state === 'accepted' && rebooting === undefined)
      this.#await(node, { attempt: first.attempt, what: 'started', since: now });
  }

  /** It runs or has ended, or the node is gone. */
  forget(node: string): void {
    const awaited = this.#awaited.get(node);
    if (awaited === undefined) return;
    this.#awaited.delete(node);
    this.#reported.delete(awaited);
  }

  /** The nodes that are stalled since the last call, each told once. */
  newlyStalled(now: number): readonly (Stall & { readonly node: string })[] {
    const found: (Stall & { node: string })[] = [];
    for (const [node, awaited] of this.#awaited) {
      if (this.#reported.has(awaited) || !isOverdue(awaited, now)) continue;
      this.#reported.add(awaited);
      found.push({ node, ...describe(node, awaited, now) });
    }
    return found;
  }

  /** Undefined while nothing is wrong with the node. */
  stallOf(node: string, now: number): Stall | undefined {
    const awaited = this.#awaited.get(node);
    return awaited !== undefined && isOverdue(awaited, now) ? describe(node, awaited, now) : undefined;
  }

  /** Stalled nodes, as far as they were told. */
  get count(): number {
    return this.#reported.size;
  }

  #await(node: string, awaited: Awaited): void {
    this.forget(node);
    this.#awaited.set(node, awaited);
  }
}

const isOverdue = ({ what, since }: Awaited, now: number): boolean =>
  now - since >= (what === 'accepted' ? limits.grantAcceptWaitMs : limits.grantStartWaitMs);

function describe(node: string, { attempt, what, since }: Awaited, now: number): Stall {
  const minutes = Math.floor((now - since) / 60_000);
  const sentence =
    what === 'accepted'
      ? `${node} answers but has not accepted attempt ${attempt} for ${minutes} min: look at its disk`
      : `${node} answers but has not started attempt ${attempt}, which it accepted ${minutes} min ago: look at its disk, and at the files that the job needs`;
  return { attempt, sentence };
}
