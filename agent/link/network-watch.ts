/**
 * Looks at the network now and then, since Node has no way to be told, and calls when something changed. A look
 * is four small reads; however many interfaces there are, looking takes at most a thousandth of a processor.
 * What a change means is decided in network.ts.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { limits } from '../../shared/limits.ts';
import { type NetworkView, viewNetwork } from './network.ts';

export type NetworkChange = {
  readonly before: NetworkView;
  readonly after: NetworkView;
  /** The host was asleep, by the difference of its clocks; or somebody has set the one on the wall. */
  readonly hasSlept: boolean;
};

export class NetworkWatch {
  readonly #onLook: (change: NetworkChange) => void;
  #timer: NodeJS.Timeout | undefined;
  #intervalMs = 0;
  #seen: NetworkView | undefined;
  #wallAheadMs = 0;

  constructor(onLook: (change: NetworkChange) => void) {
    this.#onLook = onLook;
  }

  /** From now on. What happens before the first look of the first call is nobody's change. */
  watch(intervalMs: number): void {
    this.#intervalMs = intervalMs;
    if (this.#seen === undefined) this.#look();
    this.#lookIn(intervalMs);
  }

  #lookIn(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { tookMs, change } = this.#look();
      this.#lookIn(Math.max(this.#intervalMs, tookMs * lookShareInverse));
      if (change !== undefined) this.#onLook(change);
    }, delayMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #look(): { readonly tookMs: number; readonly change: NetworkChange | undefined } {
    const begun = performance.now();
    const before = this.#seen;
    const wallAheadMs = Date.now() - begun;
    const hasSlept = wallAheadMs - this.#wallAheadMs > limits.sleptMsMin;
    const after = lookAtNetwork();
    this.#seen = after;
    this.#wallAheadMs = wallAheadMs;
    const change = before === undefined ? undefined : { before, after, hasSlept };
    return { tookMs: performance.now() - begun, change };
  }
}

const lookShareInverse = 1_000;

/** libuv leaves out interfaces that are down or without a carrier, which is just what is wanted here. */
function lookAtNetwork(): NetworkView {
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) =>
    list.filter(({ internal }) => !internal).map(({ address }) => address),
  );
  return viewNetwork({
    addresses,
    route: readSome('/proc/net/route'),
    ipv6Route: readSome('/proc/net/ipv6_route'),
    ifInet6: readSome('/proc/net/if_inet6'),
  });
}

const buffer = Buffer.alloc(limits.networkTextBytesMax);

/** The beginning: a router's table may have a million lines. Empty without that part of the kernel. */
function readSome(file: string): string {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    return '';
  }
  try {
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(handle, buffer, length, buffer.length - length, null);
    return buffer.toString('latin1', 0, length);
  } finally {
    closeSync(handle);
  }
}
