/**
 * The door to the gateway: who may turn an HTTP request into a websocket. A stranger is answered in plain
 * HTTP, before anything is allocated for a connection.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type ErrorCode, errorCodes } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

export type Admission =
  | { readonly ok: true; readonly token: string }
  | { readonly ok: false; readonly code: ErrorCode; readonly detail: string };

export type Door = {
  /** Whether this `Authorization` header lets an agent in. */
  readonly admit: (authorization: string | undefined) => Admission;
  /** After how many seconds this one is to come again; 0 when it may come in now. */
  readonly putOff: () => number;
  readonly welcome: (socket: WebSocket, token: string, peer: string) => void;
};

export function openDoor(door: Door): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.messageBytesMax,
    // How long somebody who was told to go may take to answer, keeping what he sent of a frame in memory.
    closeTimeout: limits.closeWaitMs,
  };
  const server = new WebSocketServer(options);
  return (request, socket, head) => {
    // Until ws takes over, an error on the socket has no other listener and would end the process.
    socket.once('error', () => socket.destroy());
    if (request.url?.split('?')[0] !== '/agent') {
      turnAway(
        socket,
        'not-found',
        `there is no websocket at ${request.url ?? '/'}; agents connect to /agent`,
      );
      return;
    }
    const admission = door.admit(request.headers.authorization);
    if (!admission.ok) {
      turnAway(socket, admission.code, admission.detail);
      return;
    }
    const seconds = door.putOff();
    if (seconds > 0) {
      const detail = `agents are let in one after the other; come again in ${seconds} s`;
      turnAway(socket, 'unreachable', detail, `Retry-After: ${seconds}\r\n`);
      return;
    }
    server.handleUpgrade(request, socket, head, (websocket) => {
      door.welcome(websocket, admission.token, request.socket.remoteAddress ?? 'unknown');
    });
  };
}

function turnAway(socket: Duplex, code: ErrorCode, detail: string, header = ''): void {
  const { httpStatus, retry } = errorCodes[code];
  const title = STATUS_CODES[httpStatus] ?? code;
  const type = `urn:lockstep:problem:${code}`;
  const body = JSON.stringify({ type, title, status: httpStatus, code, detail, retryable: retry });
  const challenge = httpStatus === 401 ? 'WWW-Authenticate: Bearer\r\n' : '';
  socket.end(
    `HTTP/1.1 ${httpStatus} ${title}\r\nConnection: close\r\n${challenge}${header}` +
      `Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
