/** A kubelet that does nothing but port-forwards, for an API server without nodes: what is asked of any pod goes to one port of this machine. */
import { createServer, type Server } from 'node:https';
import { connect } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface FakeKubelet {
  readonly port: number;
  /** Connections that were made through it. */
  readonly forwards: () => number;
  close(): Promise<void>;
}

/** `target`: undefined: nobody listens there. */
export async function startKubelet(
  tls: { readonly cert: string; readonly key: string },
  target: () => number,
): Promise<FakeKubelet> {
  const server: Server = createServer(tls);
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'v4.channel.k8s.io' });
  let forwards = 0;
  sockets.on('connection', (socket) => {
    forwards++;
    forward(socket, target());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : 0,
    forwards: () => forwards,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As the kubelet does: channels 0 and 1, each with the port first. */
function forward(socket: WebSocket, port: number): void {
  const message = (channel: number, data: Buffer): Buffer => Buffer.concat([Buffer.of(channel), data]);
  const first = Buffer.alloc(2);
  first.writeUInt16LE(port);
  for (const channel of [0, 1]) socket.send(message(channel, first));
  const tcp = connect(port, '127.0.0.1');
  tcp.on('data', (data) => socket.send(message(0, data)));
  tcp.on('error', (error) => socket.send(message(1, Buffer.from(`error forwarding port ${port}: ${error.message}`))));
  tcp.on('close', () => socket.close());
  socket.on('message', (data: Buffer) => {
    if (data[0] === 0) tcp.write(data.subarray(1));
  });
  socket.on('close', () => tcp.destroy());
}
