import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { aBoot, aDevice, aSnapshot } from '../../test/builders/farm.ts';
import { decideBoot } from '../farm/boot.ts';
import { fail, ok } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { type HttpBoot, type HttpBootEvent, startHttpBoot } from './server.ts';

let folder = '';
let server: HttpBoot;
let snapshot = aSnapshot();
let away = false;
const events: HttpBootEvent[] = [];
const known = aDevice();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootfarm-http-'));
  await writeFile(join(folder, 'lab.vmlinuz'), Buffer.alloc(300_000, 'k'));
  const started = await startHttpBoot({
    address: '127.0.0.1',
    port: 0,
    decide: async ({ mac }) => {
      const decision = decideBoot(snapshot, 'default', known.macs.includes(mac) ? known : undefined, 0);
      return away || !decision ? fail('ReplicaNotLoaded', 'the replica is not loaded') : ok(decision);
    },
    token: () => Uint8Array.of(1, 2, 3),
    loginServers: async () => [{ host: '127.0.0.1', port: 6910 }],
    servers: () => [{ host: '127.0.0.1', port: 8069 }],
    file: (vdisk, version, name) =>
      vdisk === 'lab' && version === 0 && name === 'lab.vmlinuz' ? join(folder, name) : undefined,
    onEvent: (event) => events.push(event),
    log: silentLogger,
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

test('without a MAC comes the script that asks with one', async () => {
  expect((await get('/boot')).text).toContain('set user-class bootfarm');
});

test('a known machine gets its script, its config and its kernel', async () => {
  expect((await get('/boot?mac=52-54-00-00-00-01&uuid=0')).text).toContain('pc0001 boots lab version 0');
  expect((await get('/boot/config?mac=52:54:00:00:00:01')).text).toContain('token=AQID\n');
  expect((await get('/boot/config.cpio?mac=52:54:00:00:00:01')).body.subarray(0, 6).toString()).toBe('070701');
  const kernel = await get('/boot/file/lab/0/lab.vmlinuz');
  expect(kernel).toMatchObject({ status: 200, headers: { 'content-length': '300000' } });
  expect(events.map((event) => event.kind)).toEqual(['script', 'config', 'config', 'file']);
});

test('a range is 206, beyond the end 416', async () => {
  expect(await get('/boot/file/lab/0/lab.vmlinuz', { range: 'bytes=5-9' })).toMatchObject({
    status: 206,
    text: 'kkkkk',
    headers: { 'content-range': 'bytes 5-9/300000' },
  });
  expect((await get('/boot/file/lab/0/lab.vmlinuz', { range: 'bytes=300000-' })).status).toBe(416);
});

test.each(['/boot/file/lab/0/..%2f..%2fetc%2fpasswd', '/boot/file/lab/1/lab.vmlinuz', '/boot/file/lab/0/lab.raw'])(
  '%s is 404',
  async (path) => {
    expect((await get(path)).status).toBe(404);
  },
);

test('an unknown machine is shown its MAC, or boots its own disk', async () => {
  expect((await get('/boot?mac=52:54:00:00:00:99')).text).toContain('bootfarm device add NAME --mac 52:54:00:00:00:99');
  expect((await get('/boot/config?mac=52:54:00:00:00:99')).status).toBe(404);
  snapshot = aSnapshot({ sites: [{ name: 'default', boot: aBoot({ unknownDevices: 'LocalDisk' }) }] });
  expect((await get('/boot?mac=52:54:00:00:00:99')).text).toContain('exit 1');
  snapshot = aSnapshot();
});

test('without data the machine asks again', async () => {
  away = true;
  expect((await get('/boot?mac=52:54:00:00:00:01')).text).toContain('goto ask');
  expect((await get('/boot/config?mac=52:54:00:00:00:01')).status).toBe(503);
  away = false;
});
