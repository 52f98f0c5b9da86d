import { Registry } from 'prom-client';
import { answer, opened, tcpContract } from '../../test/contract/tcp.ts';
import { startTelemetry } from './health.ts';
import { silentLogger } from './log.ts';

tcpContract('telemetry', async () => {
  const options = { host: '127.0.0.1', port: 0, registry: new Registry(), ready: () => [], log: silentLogger };
  const started = await startTelemetry(options);
  if (!started.ok) throw new Error(started.error.message);
  const { port, close } = started.value;
  return {
    port,
    crowd: 30,
    half: Buffer.from('GET /readyz HTTP/1.1\r\nHost: b'),
    ask: async (from) => {
      const socket = await opened(port, from);
      socket.write('GET /readyz HTTP/1.1\r\nHost: kubelet\r\n\r\n');
      await answer(socket, (text) => text.endsWith('\r\n\r\nok\n'));
      return socket;
    },
    close,
  };
});
