import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aDevice, aSnapshot } from '../../test/builders/farm.ts';
import { answer, opened, tcpContract } from '../../test/contract/tcp.ts';
import { decideBoot } from '../farm/boot.ts';
import { fail, ok } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { startHttpBoot } from './server.ts';

const question = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: boot\r\n\r\n`;
const machine = 'mac=52:54:00:00:00:01';

tcpContract('HTTP boot', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bootfarm-http-'));
  const kernel = join(folder, 'lab.vmlinuz');
  const file = await open(kernel, 'w');
  await file.truncate(16 << 20);
  await file.close();
  const decision = decideBoot(aSnapshot(), 'default', aDevice(), 0);
  const decided = decision ? ok(decision) : fail('SiteUnknown', 'no such site');
  const started = await startHttpBoot({
    address: '127.0.0.1',
    port: 0,
    decide: async () => decided,
    lookUp: async () => decided,
    token: () => Uint8Array.of(1),
    loginServers: async () => [],
    servers: () => [],
    file: () => kernel,
    onEvent: () => undefined,
    log: silentLogger,
  });
  if (!started.ok) throw new Error(started.error.message);
  const { port } = started.value;
  return {
    port,
    crowd: 180,
    readers: 180,
    half: Buffer.from('GET /boot HTTP/1.1\r\nHost: b'),
    ask: async (from) => {
      const socket = await opened(port, from);
      socket.write(question(`/boot?${machine}`));
      await answer(socket, (text) => text.includes('pc0001 boots lab'));
      return socket;
    },
    askAndLeave: async (from) => {
      const socket = await opened(port, from);
      socket.pause();
      socket.write(question(`/boot/file/lab/0/lab.vmlinuz?${machine}`));
      return socket;
    },
    close: async () => {
      await started.value.close();
      await rm(folder, { recursive: true });
    },
  };
});
