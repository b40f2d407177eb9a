/** Where coordinators are, and how long to wait before trying again. Pure; sockets are elsewhere. */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

/** The base URL that a coordinator was given as; `ws` and `wss` mean `http` and `https`. */
export function parseCoordinatorUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const protocol = url?.protocol.replace(/^ws/, 'http');
  if (url === undefined || (protocol !== 'http:' && protocol !== 'https:')) {
    throw new LockstepError(
      'usage',
      `"${text}" is not the URL of a coordinator, such as http://10.0.0.1:7600`,
    );
  }
  const base = new URL(`${protocol}//${url.host}${url.pathname}`);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

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
