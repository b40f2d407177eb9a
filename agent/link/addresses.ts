/** Where coordinators are, and how long to wait before and while trying one. Pure; sockets are elsewhere. */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

export type CoordinatorAddress = {
  /** The base URL, without a zone. */
  readonly url: URL;
  /** The interface that a link-local IPv6 address is on; URLs themselves have no place for it. */
  readonly zone: string | null;
};

/** One or more of them, tried in turn. */
export type CoordinatorAddresses = readonly [CoordinatorAddress, ...CoordinatorAddress[]];

/** `[fe80::1%eth0]`, and with `%25` as RFC 6874 writes it. */
const zonePattern = /^([a-z]+:\/\/\[[0-9a-f:.]+)%(?:25)?([A-Za-z0-9._-]{1,15})\]/i;

/** The base URL that a coordinator was given as; `ws` and `wss` mean `http` and `https`. */
export function parseCoordinatorAddress(text: string): CoordinatorAddress {
  const zone = zonePattern.exec(text)?.[2] ?? null;
  const plain = text.replace(zonePattern, '$1]');
  const url = URL.canParse(plain) ? new URL(plain) : undefined;
  const protocol = url?.protocol.replace(/^ws/, 'http');
  if (url === undefined || (protocol !== 'http:' && protocol !== 'https:')) {
    throw new LockstepError(
      'usage',
      `"${text}" is not the URL of a coordinator, such as http://10.0.0.1:7600 or http://[fe80::1%eth0]:7600`,
    );
  }
  const base = new URL(`${protocol}//${url.host}${url.pathname}`);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return { url: base, zone };
}

/** As it was given, for people. */
export const nameOf = ({ url, zone }: CoordinatorAddress): string =>
  zone === null ? url.href : url.href.replace(']', `%${zone}]`);

export function socketUrl(base: URL): URL {
  const url = new URL('agent', base);
  url.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

/**
 * Full jitter: any time up to a bound that doubles with each round through all coordinators. Within a round
 * the next one is tried almost at once. `random` is from 0 to 1.
 */
export function reconnectDelayMs(failures: number, coordinators: number, random: number): number {
  if (failures % coordinators !== 0) return random * limits.reconnectDelayMinMs;
  const round = failures / coordinators;
  return random * Math.min(limits.reconnectDelayMinMs * 2 ** round, limits.reconnectDelayMaxMs);
}

/**
 * How long one coordinator may take to accept a connection: little at first, so that one that is gone does not
 * keep from the others; more with each round, for links that are that slow.
 */
export const connectWaitMs = (failures: number, coordinators: number): number =>
  Math.min(limits.connectWaitMinMs * 2 ** Math.floor(failures / coordinators), limits.helloWaitMs);

/**
 * What `Retry-After` asks for, in ms; undefined when it asks for nothing that can be kept. Times by the clock
 * on the wall are not, because that of a node may be anywhere.
 */
export function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined || !/^[0-9]{1,9}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1_000, limits.reconnectDelayMaxMs);
}
