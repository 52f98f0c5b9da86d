import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { answer, opened, tcpContract } from '../../test/contract/tcp.ts';
import { NO_BOOTS } from '../../test/fakes/boots.ts';
import { OPERATOR_NAME } from './caller.ts';
import { makeAuthority, makeCertificate } from './certificates.ts';
import { startControl } from './server.ts';
import type { ServerStatus } from './status.ts';

/** Of a ClientHello: handshake, TLS 1.0 record, 512 bytes to come. */
const HALF_HELLO = Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3);
const status: ServerStatus = {
  name: 'node-a',
  instance: '01',
  release: 'dev',
  site: 'default',
  pool: 'main',
  address: '127.0.0.1',
  state: 'Streaming',
  devices: 0,
  booting: 0,
  powerRating: 1,
  loadPercent: 0,
  journalEntries: 0,
  faults: [],
  stores: [],
  copies: [],
};

tcpContract('control', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bootfarm-control-'));
  const authority = await makeAuthority('farm', Date.now());
  const server = await makeCertificate(authority, { names: ['node-a'], use: 'server' }, Date.now());
  const operator = await makeCertificate(authority, { names: [OPERATOR_NAME], use: 'client' }, Date.now());
  for (const [name, text] of Object.entries({
    'tls.crt': server.cert,
    'tls.key': server.key,
    'ca.crt': authority.cert,
  }))
    await writeFile(join(folder, name), text);
  let release = 'dev';
  const started = await startControl({
    address: '127.0.0.1',
    port: 0,
    tlsDirectory: folder,
    status: () => ({ ...status, release }),
    boots: NO_BOOTS,
    holdings: { of: async () => undefined },
  });
  if (!started.ok) throw new Error(started.error.message);
  const { port } = started.value;
  const asked = async (from: string): Promise<Socket> => {
    const raw = await opened(port, from);
    if (raw.destroyed) throw new Error('refused');
    const socket = connectTls({
      socket: raw,
      ...operator,
      ca: authority.cert,
      servername: 'node-a',
    });
    raw.once('close', () => socket.destroy());
    socket.on('error', () => undefined).write('GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n');
    return socket;
  };
  return {
    port,
    crowd: 48,
    readers: 1,
    half: HALF_HELLO,
    ask: async (from) => {
      release = 'dev';
      const socket = await asked(from);
      await answer(socket, (text) => text.includes('"node-a"'));
      return socket.pause();
    },
    askAndLeave: async (from) => {
      release = 'x'.repeat(16 << 20); // longer than sockets hold
      const socket = await asked(from);
      await once(socket, 'readable');
      return socket;
    },
    close: async () => {
      await started.value.close();
      await rm(folder, { recursive: true });
    },
  };
});
