import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { aLoad } from '../../test/builders/farm.ts';
import { until } from '../../test/setup/time.ts';
import type { Endpoint } from '../farm/model.ts';
import type { KeyRing } from '../kit/seal.ts';
import { silentLogger } from '../telemetry/log.ts';
import { type Peers, startPeers } from './peers.ts';

const ring: KeyRing = { current: 1, keys: new Map([[1, new Uint8Array(32).fill(7)]]) };
const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A farm of loopback addresses; all know all, and rows that are rubbish. */
async function started(
  name: string,
  address: string,
  port: number,
  rows: ReadonlyMap<string, Endpoint>,
): Promise<Peers> {
  const result = await startPeers({
    address,
    port,
    ring: () => ring,
    instance: BigInt(`0x${Buffer.from(name).toString('hex')}`),
    load: () => aLoad({ name }),
    peers: () => new Map([...rows].filter(([other]) => other !== name)),
    log: silentLogger,
  });
  if (!result.ok) throw new Error(result.error.message);
  open.push(result.value);
  return result.value;
}

async function aSocket(address: string, port = 0): Promise<Socket> {
  const socket = createSocket('udp4').bind(port, address);
  await once(socket, 'listening');
  open.push(socket);
  return socket;
}

test('two servers know each other, whatever the rows of others say and whatever else comes to the port', async () => {
  const probe = await aSocket('127.0.0.41');
  const { port } = probe.address();
  const rows = new Map<string, Endpoint>([
    ['a', { host: '127.0.0.42', port }],
    ['b', { host: '127.0.0.43', port }],
    ['not-a-port', { host: '127.0.0.44', port: 0 }],
    ['beyond', { host: '127.0.0.44', port: 70_000 }],
    ['not-a-host', { host: 'x', port }],
    ['six', { host: 'fd00::1', port }],
    ['ended', { host: '127.0.0.45', port }],
  ]);
  const a = await started('a', '127.0.0.42', port, rows);
  const b = await started('b', '127.0.0.43', port, rows);
  const rubbish = [0, 1, 67, 68, 84, 300, 1_472, 9_000].map((length) => Buffer.alloc(length, 1));
  const noise = setInterval(() => {
    for (const bytes of rubbish) probe.send(bytes, port, '127.0.0.42');
  }, 5);
  open.push({ close: () => clearInterval(noise) });
  await until('both are alive', () => a.alive('b') && b.alive('a'));
  expect([a.alive('ended'), a.alive('x'), a.clockFault()]).toEqual([undefined, undefined, undefined]);
  b.close();
  await until('b is silent', () => a.alive('b') === undefined);
});
