import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { aBoot, aDevice, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import { until } from '../../test/setup/time.ts';
import { decideBoot } from '../farm/boot.ts';
import type { Boot } from '../farm/model.ts';
import { fail, ok } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { ANSWERS_TO_NOBODY } from './limits.ts';
import { type HttpBoot, type HttpBootEvent, type Machine, startHttpBoot } from './server.ts';

let folder = '';
let server: HttpBoot;
let snapshot = aSnapshot();
let away = false;
let nowMs = 0;
const events: HttpBootEvent[] = [];
const known = aDevice();
const KNOWN = 'mac=52:54:00:00:00:01';
const UNKNOWN = 'mac=52:54:00:00:00:99';
const site = (unknownDevices: Boot['unknownDevices']) =>
  aSnapshot({ sites: [{ name: 'default', boot: aBoot({ unknownDevices }) }] });
const decide = async ({ mac }: Machine) => {
  const decision = decideBoot(snapshot, 'default', known.macs.includes(mac) ? known : undefined, 0);
  return away || !decision ? fail('ReplicaNotLoaded', 'the replica is not loaded') : ok(decision);
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootfarm-http-'));
  await writeFile(join(folder, 'lab.vmlinuz'), Buffer.alloc(300_000, 'k'));
  await writeFile(join(folder, 'lab.raw'), 'all that is on the disk');
  const started = await startHttpBoot({
    address: '127.0.0.1',
    port: 0,
    decide,
    lookUp: decide,
    token: () => Uint8Array.of(1, 2, 3),
    loginServers: async () => [{ host: '127.0.0.1', port: 6910 }],
    servers: () => [{ host: '127.0.0.1', port: 8069 }],
    // Gives whatever it is asked for: what may be asked is not its business.
    file: (_vdisk, _version, name) => join(folder, name),
    onEvent: (event) => events.push(event),
    log: silentLogger,
    now: () => nowMs,
  });
  if (!started.ok) throw new Error(started.error.message);
  server = started.value;
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

async function get(path: string, headers: Record<string, string> = {}) {
  const answer = await request(`http://127.0.0.1:${server.port}${path}`, { headers });
  const body = Buffer.from(await answer.body.arrayBuffer());
  return { status: answer.statusCode, headers: answer.headers, body, text: body.toString('utf8') };
}

test.each(['', '20:b8:ce:f6:03:00:31:33:3e', '52:54:00:00:00', '${netX/mac}'])(
  'a machine that asks with mac=%s reads that it is none, and asks again after a pause; one without gets the entry script',
  async (mac) => {
    const { body } = await request(`http://127.0.0.1:${server.port}/boot?mac=${encodeURIComponent(mac)}`);
    const text = await body.text();
    expect(text).toMatch(/^#!ipxe\necho bootfarm: this machine asks with .*, which is no MAC of 6 bytes.*\nsleep 5\n/);
    expect(text).not.toContain('set user-class');
    const entry = await request(`http://127.0.0.1:${server.port}/boot`);
    expect(await entry.body.text()).toContain('set user-class bootfarm');
  },
);

test('a file that a machine has not taken whole is a transfer that runs; one that it left is none', async () => {
  const large = join(folder, 'lab.initrd');
  await writeFile(large, Buffer.alloc(64 << 20)); // more than the kernel holds of a connection
  const machine = connect(server.port, '127.0.0.1');
  await once(machine, 'connect');
  expect(server.transfers).toBe(0);
  machine.pause();
  machine.write(`GET /boot/file/lab/0/lab.initrd?${KNOWN} HTTP/1.1\r\nhost: b\r\n\r\n`);
  await until('the transfer runs', () => server.transfers === 1);
  machine.destroy();
  await until('the transfer ends', () => server.transfers === 0);
  expect((await get(`/boot/file/lab/0/lab.vmlinuz?${KNOWN}`)).status).toBe(200);
  await until('the transfer ends', () => server.transfers === 0);
  await rm(large);
  events.length = 0;
});

test('without a MAC comes the script that asks with one', async () => {
  expect((await get('/boot')).text).toContain('set user-class bootfarm');
});

test('a known machine gets its script, its config and its kernel', async () => {
  expect((await get('/boot?mac=52-54-00-00-00-01&uuid=0')).text).toContain('pc0001 boots lab version 0');
  expect((await get('/boot/config?mac=52:54:00:00:00:01')).text).toContain('token=AQID\n');
  expect((await get('/boot/config.cpio?mac=52:54:00:00:00:01')).body.subarray(0, 6).toString()).toBe('070701');
  const kernel = await get(`/boot/file/lab/0/lab.vmlinuz?${KNOWN}`);
  expect(kernel).toMatchObject({ status: 200, headers: { 'content-length': '300000' } });
  expect(events.map((event) => event.kind)).toEqual(['script', 'config', 'config', 'file']);
});

test('a range is 206, beyond the end 416', async () => {
  expect(await get(`/boot/file/lab/0/lab.vmlinuz?${KNOWN}`, { range: 'bytes=5-9' })).toMatchObject({
    status: 206,
    text: 'kkkkk',
    headers: { 'content-range': 'bytes 5-9/300000' },
  });
  expect((await get(`/boot/file/lab/0/lab.vmlinuz?${KNOWN}`, { range: 'bytes=300000-' })).status).toBe(416);
});

test.each(['"v1"', 'W/"v1"', 'Sun, 29 Nov 2026 00:00:00 GMT'])(
  'a range if it is still %s is answered whole',
  async (is) => {
    const path = `/boot/file/lab/0/lab.vmlinuz?${KNOWN}`;
    const { status, headers } = await get(path, { range: 'bytes=5-9', 'if-range': is });
    expect([status, headers['content-length'], headers['content-range']]).toEqual([200, '300000', undefined]);
  },
);

test.each([
  `/boot/file/lab/0/lab.raw?${KNOWN}`,
  `/boot/file/lab/0/..%2flab.raw?${KNOWN}`,
  `/boot/file/lab/0/%2e%2e%2flab.raw?${KNOWN}`,
  `/boot/file/lab/0/lab.vmlinuz%00?${KNOWN}`,
  `/boot/file/lab/0/LAB.VMLINUZ?${KNOWN}`,
  `/boot/file/lab/1/lab.vmlinuz?${KNOWN}`,
  `/boot/file/lab/00/lab.vmlinuz?${KNOWN}`,
  `/boot/file/lab/0/lab.initrd?${KNOWN}`, // of a version that has one, and it is gone just now
  '/boot/file/lab/0/lab.vmlinuz',
  '/boot/file/lab/0/lab.vmlinuz?mac=ff:ff:ff:ff:ff:ff',
])('%s is 404, in the same words', async (path) => {
  const { status, text } = await get(path);
  expect([status, text]).toEqual([
    404,
    'no such file for this machine here: its script names those it may fetch, /boot?mac=MAC\n',
  ]);
});

test('a named pipe in the place of a boot file is no file, and nobody waits for its writer', async () => {
  const pipe = join(folder, 'lab.initrd');
  execFileSync('mkfifo', [pipe]);
  for (let n = 0; n < 5; n++) expect((await get(`/boot/file/lab/0/lab.initrd?${KNOWN}`)).status).toBe(404); // one more than Node has threads
  expect((await get(`/boot/file/lab/0/lab.vmlinuz?${KNOWN}`)).status).toBe(200);
  await rm(pipe);
});

test('a machine whose vDisk is disabled gets no kernel', async () => {
  snapshot = aSnapshot({ vdisks: [aVDisk({ enabled: false })] });
  expect((await get(`/boot/file/lab/0/lab.vmlinuz?${KNOWN}`)).status).toBe(404);
  snapshot = aSnapshot();
});

test('an unknown machine is shown its MAC, or boots its own disk', async () => {
  snapshot = site('Screen');
  expect((await get(`/boot?${UNKNOWN}`)).text).toContain('bootfarm device add NAME --mac 52:54:00:00:00:99');
  expect((await get(`/boot/config?${UNKNOWN}`)).status).toBe(404);
  snapshot = site('LocalDisk');
  expect((await get(`/boot?${UNKNOWN}`)).text).toContain('exit 1');
  snapshot = aSnapshot();
});

test('where the site says Ignore an unknown machine gets not one word, and everybody else does', async () => {
  events.length = 0;
  const paths = ['/boot', '/boot/config', '/boot/config.cpio', '/boot/file/lab/0/lab.vmlinuz'];
  for (const path of paths) await expect(get(`${path}?${UNKNOWN}`)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  expect(events.map(({ kind }) => kind)).toEqual(['silent', 'silent', 'silent', 'silent']);
  expect((await get('/boot')).status).toBe(200);
  expect((await get(`/boot?${KNOWN}`)).status).toBe(200);
});

test('more unknown machines than a room has find the connection closed, and everybody else gets what is his', async () => {
  snapshot = site('Screen');
  nowMs = 60_000; // what the tests before this one spent is back
  const answers = async (count: number): Promise<number> => {
    let told = 0;
    for (let asked = 0; asked < count; asked += 50) {
      const some = Array.from({ length: 50 }, () => get(`/boot?${UNKNOWN}`).catch(() => undefined));
      told += (await Promise.all(some)).filter((answer) => answer?.status === 200).length;
    }
    return told;
  };
  expect(await answers(ANSWERS_TO_NOBODY.burst + 200)).toBe(ANSWERS_TO_NOBODY.burst);
  nowMs += 1_000;
  expect(await answers(ANSWERS_TO_NOBODY.perSecond + 50)).toBe(ANSWERS_TO_NOBODY.perSecond);
  nowMs += 60_000;
  expect((await get(`/boot?${KNOWN}`)).text).toContain('kernel ');
});

test('a URL that is too long is 414, with both numbers', async () => {
  const { status, text } = await get(`/boot?${KNOWN}&${'x'.repeat(2_048)}`);
  expect([status, text]).toEqual([414, expect.stringMatching(/^the URL has 2\d{3} characters, more than 2048\n$/)]);
});

test.each([
  { what: 'an absolute URL', first: 'GET http://x:99999/boot?mac=1 HTTP/1.1' },
  { what: 'a path of slashes', first: 'GET //// HTTP/1.1' },
  { what: 'an encoding that is none', first: 'GET /boot/file/%zz/%/%c0 HTTP/1.1' },
  { what: 'a query that is none', first: 'GET /boot?mac=%&uuid=%ff&mac=&=&& HTTP/1.1' },
  { what: 'a method of others', first: 'DELETE /boot HTTP/1.1' },
  { what: 'rubbish', first: '\u0016\u0003\u0001\u0002' },
])('$what is answered below 500, or not at all', async ({ first }) => {
  const socket = connect(server.port, '127.0.0.1');
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  socket.end(`${first}\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await once(socket, 'close');
  expect(text).not.toMatch(/^HTTP\/1.1 5/);
  expect((await get('/boot')).status).toBe(200);
});

test('a second question before the first is answered ends the connection', async () => {
  const socket = connect(server.port, '127.0.0.1');
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  socket.write(`GET /boot?${KNOWN} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(500));
  await once(socket, 'close');
  expect(text.split('HTTP/1.1 200').length).toBeLessThan(4);
});

test('without data the machine asks again', async () => {
  away = true;
  expect((await get('/boot?mac=52:54:00:00:00:01')).text).toContain('goto ask');
  expect((await get('/boot/config?mac=52:54:00:00:00:01')).status).toBe(503);
  away = false;
});
