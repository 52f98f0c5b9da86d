/** ProxyDHCP on real sockets: on loopback by unicast, and as a server with two cards among machines that broadcast. */

import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Verdict } from '../../src/dhcp/answer.ts';
import { decode, encode, messageType, type Packet } from '../../src/dhcp/packet.ts';
import { type ProxyDhcp, startProxyDhcp } from '../../src/dhcp/server.ts';
import type { DhcpEvent } from '../../src/dhcp/session.ts';
import { aBoot } from '../builders/farm.ts';
import { mutations } from '../builders/mutations.ts';
import { aRequest } from '../builders/pxe.ts';
import { readGolden } from '../golden/golden.ts';

const ADDRESS = '127.0.0.1';
const bootstrap = { farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] };
const events: DhcpEvent[] = [];
let verdict: () => Verdict | Promise<Verdict>;
let loaded = true;
let server: ProxyDhcp;
const start = (ports = { dhcp: 0, pxe: 0 }) =>
  startProxyDhcp({
    ...{ address: ADDRESS, ports, httpPort: 8069, log: { debug() {}, warn() {} } },
    bootstrap: () => (loaded ? bootstrap : undefined),
    verdict: () => verdict(),
    onEvent: (event) => events.push(event),
  });

beforeAll(async () => {
  const started = await start();
  if (!started.ok) throw new Error(started.error.message);
  server = started.value;
});
afterAll(async () => {
  await server.close();
  await server.close();
});

/** Asks from a port of its own; undefined when no answer comes. */
async function ask(request: Packet, port: number, withinMs: number): Promise<Packet | undefined> {
  const socket = createSocket('udp4').bind(0, ADDRESS);
  await once(socket, 'listening');
  const answered = Promise.withResolvers<Packet | undefined>();
  const timer = setTimeout(() => answered.resolve(undefined), withinMs);
  socket.on('message', (bytes) => {
    const decoded = decode(bytes);
    answered.resolve(decoded.ok ? decoded.value : undefined);
  });
  const encoded = encode(request, 1_500);
  if (!encoded.ok) throw new Error(encoded.error.message);
  socket.send(encoded.value, port, ADDRESS);
  try {
    return await answered.promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

describe('on loopback', () => {
  test('4011 and 67 give the same answer', async () => {
    verdict = () => ({ kind: 'known' });
    const offer = await ask(aRequest(), server.ports.dhcp, 5_000);
    const ack = await ask(aRequest({ type: 'REQUEST' }), server.ports.pxe, 5_000);
    expect([offer && messageType(offer), ack && messageType(ack)]).toEqual(['OFFER', 'ACK']);
    expect(ack?.options.slice(1)).toEqual(offer?.options.slice(1));
    expect(ack?.file).toBe('undionly.kpxe');
  });

  test.each<[string, () => Verdict | Promise<Verdict>]>([
    ['a machine that is not known', () => ({ kind: 'unknown', action: 'Ignore' })],
    ['a replica that fails', () => Promise.reject(new Error('replica away'))],
  ])('%s: silence', async (_, judge) => {
    verdict = judge;
    expect(await ask(aRequest(), server.ports.dhcp, 300)).toBeUndefined();
  });

  test('without the farm’s data: silence, and a self-test that says so; with it, well again', async () => {
    verdict = () => ({ kind: 'known' });
    loaded = false;
    expect(await ask(aRequest(), server.ports.dhcp, 300)).toBeUndefined();
    expect(await server.selfTest()).toMatchObject({ ok: false, error: { code: 'NoAnswer' } });
    loaded = true;
    expect(await server.selfTest()).toEqual({ ok: true, value: undefined });
  });

  test('the self-test is answered when the site has neither TFTP nor HTTP', async () => {
    verdict = () => ({ kind: 'known' });
    const started = await startProxyDhcp({
      ...{ address: ADDRESS, ports: { dhcp: 0, pxe: 0 }, httpPort: 8069, log: { debug() {}, warn() {} } },
      bootstrap: () => ({ ...bootstrap, boot: aBoot({ tftp: false, http: { enabled: false, port: 8069 } }) }),
      verdict: () => verdict(),
    });
    if (!started.ok) throw new Error(started.error.message);
    expect(await started.value.selfTest()).toEqual({ ok: true, value: undefined });
    await started.value.close();
    expect(await started.value.selfTest()).toMatchObject({ ok: false, error: { code: 'NoAnswer' } });
  });

  test('the self-test needs no verdict and is nobody’s event', async () => {
    verdict = () => Promise.reject(new Error('not asked'));
    const before = events.length;
    expect((await server.selfTest()).ok).toBe(true);
    expect(events.length).toBe(before);
  });

  test('an answer that the kernel does not send is not counted as one', async () => {
    verdict = () => ({ kind: 'known' });
    events.length = 0;
    // From loopback the kernel sends nothing to another network.
    await ask(aRequest({}, { giaddr: '203.0.113.1' }), server.ports.dhcp, 200);
    expect(events).toMatchObject([{ kind: 'dropped', reason: 'NotSent' }]);
  });

  test('anything thrown at it leaves it well', async () => {
    verdict = () => ({ kind: 'unknown', action: 'Ignore' });
    const socket = createSocket('udp4').bind(0, ADDRESS);
    await once(socket, 'listening');
    const seeds = readGolden('bios').flatMap(({ protocol, bytes }) => (protocol === 'dhcp' ? [bytes] : []));
    let sent = 0;
    for (const bytes of mutations(seeds, 7, 5_000)) {
      socket.send(bytes, sent % 2 ? server.ports.dhcp : server.ports.pxe, ADDRESS);
      sent += 1;
      if (sent % 100 === 0) await new Promise(setImmediate);
    }
    socket.close();
    expect((await server.selfTest()).ok).toBe(true);
  });

  test.each(['dhcp', 'pxe'] as const)(
    'a taken %s port is a fault that says what to do, and it starts when the port is free',
    async (listener) => {
      const other = createSocket('udp4').bind(0, ADDRESS);
      await once(other, 'listening');
      const { port } = other.address();
      const refused = await start({ dhcp: 0, pxe: 0, [listener]: port });
      expect(refused).toMatchObject({ ok: false, error: { code: 'PortTaken' } });
      expect(!refused.ok && refused.error.message).toContain(`UDP port ${port} of ${ADDRESS}`);
      other.close();
      await once(other, 'close');
      const started = await start({ dhcp: 0, pxe: 0, [listener]: port });
      expect(started.ok).toBe(true);
      if (started.ok) await started.value.close();
    },
  );
});

test('a server with two cards answers the known machine of its own network, and sends not one packet else', async () => {
  const script = new URL('dhcp-lan.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)('unshare', ['--net', '--kill-child', process.execPath, script], {
    timeout: 300_000,
  });
  expect(JSON.parse(stdout)).toEqual({
    selfTest: true,
    second: { code: 'PortTaken', message: expect.stringContaining('UDP port 67 of 10.88.0.11') },
    known: { heard: [{ from: '10.88.0.11:67', file: 'undionly.kpxe' }], sent: 1 },
    unknown: { heard: [], sent: 0 },
    otherNetwork: { heard: [], sent: 0 },
    again: true,
  });
});
