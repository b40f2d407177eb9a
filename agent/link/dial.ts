/**
 * One connection to a coordinator, as far as bytes can be sent: by name, address or zone, straight or through a
 * proxy, in clear or with TLS. The websocket and the transfer of files both begin here. Who is tried when, and
 * what is said on the connection, is decided elsewhere.
 */
import { request as requestInClear } from 'node:http';
import { request as requestWithTls } from 'node:https';
import { connect, isIP, Socket } from 'node:net';
import { connect as connectWithTls } from 'node:tls';
import { assert } from '../../shared/assert.ts';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { CoordinatorAddress } from './addresses.ts';
import { type HttpProxy, hostOf, type Proxies, portOf, proxyFor } from './proxies.ts';

/** Rejects with a message for people: who could not be reached, and what was in the way. */
export type Dial = (to: CoordinatorAddress, waitMs: number, signal: AbortSignal) => Promise<Socket>;

export const dialer =
  (proxies: Proxies): Dial =>
  async (to, waitMs, signal) => {
    const { url, zone } = to;
    const proxy = proxyFor(url, proxies);
    const host = zone === null ? hostOf(url) : `${hostOf(url)}%${zone}`;
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
    try {
      const socket =
        proxy === null
          ? await open(host, portOf(url), bounded)
          : await openThrough(proxy, hostOf(url), portOf(url), bounded);
      return url.protocol === 'https:' ? await secure(socket, hostOf(url), bounded) : socket;
    } catch (error) {
      if (!bounded.aborted || signal.aborted) throw error;
      const silent = proxy === null ? 'it' : `the proxy ${proxy.url.origin}`;
      throw new Error(`${silent} did not answer within ${waitMs} ms`, { cause: error });
    }
  };

/** Tries all addresses of a name, a moment apart, and takes the first that answers. */
function open(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return settled((resolve, reject) => {
    const socket = connect({
      host,
      port,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: limits.addressAttemptMs,
    });
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => reject(new Error(whatFailed(error), { cause: error })));
    return socket;
  }, signal);
}

function openThrough(proxy: HttpProxy, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const { origin } = proxy.url;
  return settled((resolve, reject) => {
    const request = (proxy.url.protocol === 'https:' ? requestWithTls : requestInClear)({
      host: hostOf(proxy.url),
      port: portOf(proxy.url),
      method: 'CONNECT',
      path: authority,
      headers: {
        host: authority,
        ...(proxy.authorization === null ? {} : { 'proxy-authorization': proxy.authorization }),
      },
      agent: false,
    });
    request.once('connect', ({ statusCode = 0, statusMessage = '' }, socket, head) => {
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy();
        const advice = statusCode === 407 ? '; user and password go into its URL' : '';
        reject(
          new Error(
            `the proxy ${origin} does not connect to ${authority}: HTTP ${statusCode} ${statusMessage}${advice}`,
          ),
        );
        return;
      }
      assert(socket instanceof Socket, 'what CONNECT gives is the connection to the proxy');
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('error', (error) =>
      reject(new Error(`cannot use the proxy ${origin}: ${whatFailed(error)}`, { cause: error })),
    );
    request.end();
    return request;
  }, signal);
}

function secure(socket: Socket, host: string, signal: AbortSignal): Promise<Socket> {
  return settled((resolve, reject) => {
    const encrypted = connectWithTls({ socket, host, servername: isIP(host) === 0 ? host : '' });
    encrypted.once('secureConnect', () => resolve(encrypted));
    encrypted.once('error', reject);
    return encrypted;
  }, signal);
}

type Begun = { destroy(error?: Error): unknown; on(event: 'error', listener: () => void): unknown };

/** What was begun is given up with the signal, or when it failed. */
function settled(
  begin: (resolve: (socket: Socket) => void, reject: (error: Error) => void) => Begun,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => {
      begun.destroy();
      reject(new Error('it was given up', { cause: signal.reason }));
    };
    const begun = begin(
      (socket) => {
        signal.removeEventListener('abort', stop);
        resolve(socket);
      },
      (error) => {
        signal.removeEventListener('abort', stop);
        reject(error);
      },
    );
    signal.addEventListener('abort', stop, { once: true });
    // Errors after the first have nobody else to go to until the socket has its next owner.
    begun.on('error', () => undefined);
  });
}

/** When all addresses of a name failed, the error itself says nothing. */
const whatFailed = (error: Error): string =>
  error instanceof AggregateError && error.message === ''
    ? error.errors.map(messageOf).join(', ')
    : error.message;
