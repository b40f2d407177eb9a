/** A websocket server that answers every frame with the same one and does nothing else. Ends with its parent. */
import { once } from 'node:events';
import { WebSocketServer } from 'ws';

const [reply = ''] = process.argv.slice(2);
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 511 });
server.on('connection', (socket) => {
  socket.on('message', (content: Buffer) => {
    if (content.length > 0) socket.send(reply);
  });
});
await once(server, 'listening');
const address = server.address();
process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
process.on('disconnect', () => process.exit());
