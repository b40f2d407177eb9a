/**
 * A cable that can be pulled: passes TCP connections on to another port of this machine. SIGUSR1 cuts all of
 * them and refuses new ones, SIGUSR2 lets them through again. Prints the port it listens on.
 *
 * usage: node relay.ts HOST PORT
 */
import { connect, createServer, type Socket } from 'node:net';

const [host = '127.0.0.1', port = '0'] = process.argv.slice(2);
const open = new Set<Socket>();
let isCut = false;

const server = createServer((near) => {
  if (isCut) {
    near.destroy();
    return;
  }
  const far = connect(Number(port), host);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    open.add(one);
    one.pipe(other);
    one.on('error', () => other.destroy());
    one.on('close', () => {
      open.delete(one);
      other.destroy();
    });
  }
});

process.on('SIGUSR1', () => {
  isCut = true;
  for (const socket of open) socket.destroy();
});
process.on('SIGUSR2', () => {
  isCut = false;
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(typeof address === 'object' && address !== null ? address.port : 0);
});
