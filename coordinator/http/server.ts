/** The listening socket: plain HTTP, and the door through which agents' websockets come. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Router } from './routing.ts';

export type Listener = {
  readonly host: string;
  readonly port: number;
  /** Nobody is waited for: whoever follows or uploads comes back. */
  close(): void;
};

export type ListenOptions = {
  readonly host: string;
  /** 0 for any. */
  readonly port: number;
  readonly api: Router;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
};

/** Resolves when connections are accepted. Throws `conflict` for an address that is taken or not there. */
export async function listen({ host, port, api, upgrade }: ListenOptions): Promise<Listener> {
  const answer = getRequestListener(api.fetch);
  const server = createServer(
    {
      headersTimeout: limits.httpHeadersWaitMs,
      requestTimeout: limits.httpRequestWaitMs,
      keepAliveTimeout: limits.httpIdleWaitMs,
      connectionsCheckingInterval: limits.connectionSweepMs,
    },
    (request, response) => void answer(request, response),
  );
  // Above what the gateway admits, so that a full gateway can say so.
  server.maxConnections = limits.connectionsMax + limits.operatorConnectionsMax;
  server.on('upgrade', upgrade);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new LockstepError('conflict', `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
          cause: error,
        }),
      ),
    );
    server.listen({ host, port, backlog: limits.listenBacklog }, resolve);
  });
  const address = server.address();
  return {
    host,
    port: isBound(address) ? address.port : port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const isBound = (address: AddressInfo | string | null): address is AddressInfo =>
  typeof address === 'object' && address !== null;
