/** Servers that ask each other for files at their control ports, with certificates as the operator gives them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { askingServer, OPERATOR_NAME } from '../../src/control/caller.ts';
import { type KeyPair, makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import { controlClient } from '../../src/control/client.ts';
import { type ControlServer, startControl } from '../../src/control/server.ts';
import type { ServerStatus } from '../../src/control/status.ts';
import { identityOf } from '../../src/image/identity.ts';
import { HeldFiles } from '../../src/server/held.ts';
import { Manifests } from '../../src/transfer/keep.ts';
import { LEAST_CHUNK_BYTES } from '../../src/transfer/manifest.ts';
import { peerAt } from '../../src/transfer/peer.ts';
import { pull } from '../../src/transfer/pull.ts';
import { NO_BOOTS } from '../fakes/boots.ts';
import { must } from '../fakes/farm.ts';
import { manifestOf } from '../fakes/transfer.ts';
import { until } from '../setup/time.ts';
import type { PullerTask } from './puller.ts';

const HOST = '127.0.0.1';
const CHUNKS = 200;
const CONTENT = randomBytes(CHUNKS * LEAST_CHUNK_BYTES - 1);
const MANIFEST = manifestOf(CONTENT);
const { sha256, sizeBytes, root } = MANIFEST;
const WANTED = { sha256, sizeBytes, root };
const status = {
  name: '',
  instance: '1',
  site: '',
  pool: '',
  address: HOST,
  state: 'Streaming',
  devices: 0,
  booting: 0,
};

interface Running {
  readonly name: string;
  readonly folder: string;
  readonly held: HeldFiles;
  readonly control: ControlServer;
  readonly address: { readonly name: string; readonly host: string; readonly port: number };
  readonly identity: { readonly ca: string; readonly cert: string; readonly key: string };
}

const home = mkdtempSync(join(tmpdir(), 'bootfarm-peers-'));
const running: Running[] = [];
let authority: KeyPair;
/** Of what A gives. */
let bytesPerSecond: number | undefined;
let a: Running;
let b: Running;
let c: Running;

beforeAll(async () => {
  authority = await makeAuthority('farm', Date.now());
  [a, b, c] = [await start('node-a'), await start('node-b'), await start('node-c')];
  const path = join(a.folder, 'stores/lab.raw');
  writeFileSync(path, CONTENT);
  await isRight(a, path);
});
afterAll(async () => {
  await Promise.all(running.map(({ control }) => control.close()));
  rmSync(home, { recursive: true });
});

/** As its server finds by reading it. */
async function isRight({ folder, held }: Running, path: string): Promise<void> {
  await new Manifests(join(folder, 'state')).keep(MANIFEST);
  held.set([{ path, sha256, identity: identityOf(statSync(path, { bigint: true })) }]);
}

async function start(name: string): Promise<Running> {
  const folder = join(home, name);
  mkdirSync(join(folder, 'stores'), { recursive: true });
  const answers = await makeCertificate(authority, { names: [name], use: 'server' }, Date.now());
  const asks = await makeCertificate(authority, askingServer(name), Date.now());
  const secret = { 'tls.crt': answers.cert, 'tls.key': answers.key, 'peer.crt': asks.cert, 'peer.key': asks.key };
  for (const [file, text] of Object.entries({ ...secret, 'ca.crt': authority.cert }))
    writeFileSync(join(folder, file), text);
  const held = new HeldFiles({ stateDirectory: join(folder, 'state'), storeRoots: [join(folder, 'stores')] });
  const control = must(
    await startControl({
      ...{ address: HOST, port: 0, tlsDirectory: folder, boots: NO_BOOTS, holdings: held },
      status: () =>
        ({
          ...status,
          name,
          powerRating: 1,
          loadPercent: 0,
          faults: [],
          stores: [],
          copies: [],
        }) as unknown as ServerStatus,
      giveLimits: () => ({ bytesPerSecond: name === 'node-a' ? bytesPerSecond : undefined }),
    }),
  );
  const address = { name, host: HOST, port: control.port };
  const one = { name, folder, held, control, address, identity: { ca: authority.cert, ...asks } };
  running.push(one);
  return one;
}

test('a file comes from a server that has it, and its bandwidth may change meanwhile', async () => {
  bytesPerSecond = 1_000;
  const peer = peerAt(a.address, b.identity);
  const path = join(b.folder, 'stores/once.raw');
  const pulling = pull(path, WANTED, { peers: [peer], onProgress: () => (bytesPerSecond = undefined) });
  const facts = await peer.facts(sha256, CHUNKS);
  expect(facts).toEqual({ ok: true, value: { root, has: 'all' } });
  bytesPerSecond = undefined;
  expect(await pulling).toMatchObject({ ok: true, value: { peerBytes: { 'node-a': sizeBytes } } });
  peer.close();
  expect(readFileSync(path).equals(CONTENT)).toBe(true);
});

test('what a process of a server pulls others have from there meanwhile, and go on when it is right there', async () => {
  bytesPerSecond = 8 << 20; // two seconds for all of it
  const path = join(b.folder, 'stores/lab.raw');
  const task: PullerTask = {
    ...{ secrets: b.folder, folder: join(b.folder, 'state/work/pulls'), path },
    ...{ wanted: WANTED, peers: [a.address] },
  };
  const puller = spawn(process.execPath, [join(import.meta.dirname, 'puller.ts'), JSON.stringify(task)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const exited = once(puller, 'exit');
  try {
    const peer = peerAt(b.address, c.identity);
    const growing: number[] = [];
    const seen = async (): Promise<number> => {
      const facts = await peer.facts(sha256, CHUNKS);
      return facts.ok && facts.value.has !== 'all' ? facts.value.has.reduce((sum, is) => sum + is, 0) : -1;
    };
    await until('it grows', async () => {
      const now = await seen();
      if (now > (growing.at(-1) ?? 0)) growing.push(now);
      return growing.length > 1;
    });
    const to = join(c.folder, 'stores/lab.raw');
    const pulling = pull(to, WANTED, { peers: [peer] });
    expect(await exited).toEqual([0, null]);
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
    await isRight(b, path);
    expect(await pulling).toMatchObject({ ok: true, value: { peerBytes: { 'node-b': sizeBytes }, blamed: [] } });
    peer.close();
    expect(readFileSync(to).equals(CONTENT)).toBe(true);
  } finally {
    await end(puller, exited);
  }
});

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGKILL');
  await exited;
}

test('however many servers are connected, from the operator’s address, too, the operator is answered', async () => {
  const all = await Promise.all(
    Array.from({ length: 5 }, async (_, at) => {
      const own = await makeCertificate(authority, askingServer(`node-${at}`), Date.now());
      const tls = { ...own, ca: authority.cert, servername: 'node-a', host: HOST, port: a.control.port };
      return Array.from({ length: 20 }, () =>
        connect({ ...tls, localAddress: `127.0.0.${at + 1}` } as ConnectionOptions),
      );
    }),
  );
  const sockets = all.flat();
  for (const socket of sockets) socket.on('error', () => undefined);
  await Promise.all(sockets.map((socket) => once(socket, 'secureConnect')));
  const operator = await makeCertificate(authority, { names: [OPERATOR_NAME], use: 'client' }, Date.now());
  const client = controlClient({ ca: authority.cert, ...operator });
  const answer = await client.status({ name: 'node-a', address: HOST, port: a.control.port });
  await client.close();
  await until('each server has its share', () => sockets.filter(({ destroyed }) => !destroyed).length === 80);
  for (const socket of sockets) socket.destroy();
  expect(answer).toMatchObject({ ok: true, value: { name: 'node-a' } });
});
