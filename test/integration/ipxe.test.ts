/** The real iPXE, in a machine of its own on QEMU's user network: what our scripts say is what it takes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Database } from '../../src/database/connection.ts';
import { notCarried } from '../../src/farm/commandline.ts';
import { type HttpBoot, startHttpBoot } from '../../src/httpboot/server.ts';
import { fail } from '../../src/kit/result.ts';
import { AutoAdd } from '../../src/server/autoadd.ts';
import { type BootOptions, decide, lookUp } from '../../src/server/boot.ts';
import { Uuids } from '../../src/server/uuids.ts';
import { FarmView } from '../../src/server/view.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aBoot, aDevice, aSnapshot } from '../builders/farm.ts';
import { createFakeFarmData } from '../fakes/farmdata.ts';
import { until } from '../setup/time.ts';

const BOOT_MS = 120_000;
const SEED = 20261129;
/** What QEMU's user network calls this machine. */
const HOST = '10.0.2.2';
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** A machine that boots from this URL; what it shows, without the controls of a terminal. */
function boot(url: string, { mac, uuid }: { mac?: string; uuid?: string } = {}): () => string {
  const netdev = `user,id=net,bootfile=${url}`;
  const device = `virtio-net-pci,netdev=net${mac === undefined ? '' : `,mac=${mac}`}`;
  const args = ['-nographic', '-m', '128', '-netdev', netdev, '-device', device, '-boot', 'n'];
  if (uuid !== undefined) args.push('-uuid', uuid);
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let shown = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    shown += bytes.toString('latin1');
  });
  const ended = once(child, 'exit');
  open.push({ close: () => child.kill('SIGKILL') && ended });
  return () => stripVTControlCharacters(shown).replaceAll('\r', '');
}

async function serve(body: string): Promise<number> {
  const server: Server = createServer((_, response) => response.end(body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({
    close() {
      server.closeAllConnections();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}

const LOST = [
  'a=1 && b=2',
  'x=${net0/ip}',
  'a # b',
  'a || b',
  'q="a  b"',
  'a ; b',
  'end &&',
  '#lead',
  'x=$${netX/mac}',
];
const KEPT = ['a#b c', 'a;b c', 'a&&b c||d', '$x $ {y}', 'back\\slash \'q u\' "d q"', 'p=%41 {z}', 'a;; ;;b'];

test('a command line that the CRD takes comes through as it is, and one that it refuses does not', async () => {
  const pieces = fc.constantFrom('a', 'b=', ' ', '&&', '&', '||', ';', '#', '$', '{', '${', '}', '"', "'", '\\', '%');
  const made = fc.sample(fc.array(pieces, { minLength: 1, maxLength: 9 }), { seed: SEED, numRuns: 120 });
  const random = made.map((parts) => parts.join('').trim()).filter((text) => text && notCarried(text) === undefined);
  expect(random.length).toBeGreaterThan(30);
  const texts = [...LOST, ...KEPT, ...random];
  // iPXE tells of each image with its arguments: one image, given them one after the other.
  const lines = texts.flatMap((text, index) => [`imgargs t ${text} ||`, `echo T${index}`, 'imgstat', 'imgargs t ||']);
  const port = await serve(
    ['#!ipxe', 'imgfetch --name t ${cwduri} ||', ...lines, 'echo END', 'sleep 60', ''].join('\n'),
  );
  const shown = boot(`http://${HOST}:${port}/boot`);
  await until('all are shown', () => shown().includes('\nEND'), BOOT_MS);
  const carried = texts.map((_, index) => new RegExp(`^T${index}\\n.*?(?: "(.*)")?$`, 'm').exec(shown())?.[1]);
  const same = texts.map((text, index) => [text, carried[index] === text]);
  expect(same).toEqual([...LOST.map((text) => [text, false]), ...[...KEPT, ...random].map((text) => [text, true])]);
});

test('a machine whose address is no MAC reads why, and asks again after a pause', async () => {
  let asked = 0;
  const unavailable = async () => fail('NotLoaded', 'the farm data is not loaded yet');
  const started = await startHttpBoot({
    ...{ address: '127.0.0.1', port: 0, decide: unavailable, lookUp: unavailable },
    ...{ token: () => Uint8Array.of(), loginServers: async () => [], file: () => undefined, log: silentLogger },
    onEvent: () => {},
    servers: () => {
      asked += 1;
      return [{ host: HOST, port: http.port }];
    },
  });
  if (!started.ok) throw new Error(started.error.message);
  const http: HttpBoot = started.value;
  open.push(http);
  const shown = boot(`http://${HOST}:${http.port}/boot?mac=20:b8:ce:f6:03:00:31:33:3e`);
  await until('it reads why', () => /which is no MAC/.test(shown()), BOOT_MS);
  const begunMs = performance.now();
  await until('it asks again', () => asked > 1, 30_000);
  expect(performance.now() - begunMs).toBeGreaterThan(3_000);
  expect(asked).toBe(2);
});

test('two machines with one UUID: the one that the farm knows boots, the other is not taken for it; with a new card and no other machine it is known', async () => {
  const uuid = '6d3c8a62-0000-4000-8000-000000000001';
  const [own, other] = ['52:54:00:00:00:01', '52:54:00:00:00:99'];
  const serving = async (): Promise<string> => {
    const snapshot = aSnapshot({ sites: [{ name: 'default', boot: aBoot({ unknownDevices: 'Screen' }) }] });
    const data = createFakeFarmData({ snapshot, devices: [aDevice({ macs: [own], uuid })], sessions: [] });
    const view = new FarmView(data, silentLogger);
    await view.read();
    const database = { run: async () => fail('Unreachable', 'away') } as unknown as Database;
    const options: BootOptions = {
      ...{ site: 'default', data, view, ring: () => ({ current: 1, keys: new Map([[1, Buffer.alloc(32, 1)]]) }) },
      autoAdd: new AutoAdd({ server: 'node-a', database, log: silentLogger }),
      uuids: new Uuids({ database, data, log: silentLogger }),
    };
    const started = await startHttpBoot({
      ...{ address: '127.0.0.1', port: 0, log: silentLogger, onEvent: () => {}, file: () => undefined },
      ...{ decide: (machine) => decide(options, machine), lookUp: (machine) => lookUp(options, machine) },
      ...{ token: () => Uint8Array.of(), loginServers: async () => [] },
      servers: () => [{ host: HOST, port: http.port }],
    });
    if (!started.ok) throw new Error(started.error.message);
    const http: HttpBoot = started.value;
    open.push(http);
    return `http://${HOST}:${http.port}/boot`;
  };
  const url = await serving();
  const shows = async (mac: string, at: string, text: RegExp): Promise<void> => {
    const shown = boot(at, { mac, uuid });
    await until(`${mac} shows ${text}`, () => text.test(shown()), BOOT_MS);
  };
  await shows(own, url, /pc0001 boots lab version 0/);
  await shows(other, url, new RegExp(`does not know this machine: MAC ${other}`));
  await shows(other, await serving(), /pc0001 boots lab version 0/);
});
