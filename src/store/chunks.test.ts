/** Chunk manifests beside the digests, and what a re-verification finds by them, on real files. */
import { mkdtempSync, readdirSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { aHasher } from '../../test/fakes/hasher.ts';
import { until } from '../../test/setup/time.ts';
import { openRegular } from '../kit/file.ts';
import { silentLogger } from '../telemetry/log.ts';
import { LEAST_CHUNK_BYTES } from '../transfer/manifest.ts';
import { Chunks } from './chunks.ts';
import { type Digest, Digests, type DigestsOptions } from './digests.ts';
import { type FileHasher, HasherLost } from './hasher.ts';
import { Hashes } from './hashes.ts';
import { lookInto } from './inventory.ts';

let state: string;
let folder: string;
let clock: number;
let told: { message: string; [key: string]: unknown }[];
let digests: Digests;
let chunks: Chunks;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'bootfarm-chunks-'));
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-store-'));
  clock = 0;
  told = [];
});
afterEach(async () => {
  await digests.close();
  for (const made of [state, folder]) rmSync(made, { recursive: true });
});

async function start(options: DigestsOptions & { without?: true } = {}): Promise<void> {
  const tell = (what: object, message: string) => void told.push({ ...what, message });
  const log = { ...silentLogger, info: tell, warn: tell } as typeof silentLogger;
  chunks = new Chunks(state, log);
  const kept = options.without ? {} : { chunks };
  digests = new Digests(state, log, { hasher: aHasher(), clock: () => clock, ...kept, ...options });
  await digests.load();
}

const path = (name: string): string => join(folder, name);
/** All with one time: what changes later is not seen by it. */
const put = (name: string, content: Buffer): void => {
  writeFileSync(path(name), content);
  utimesSync(path(name), 1, 1);
};

/** As it is said now: asking queues what is due. */
async function ask(name = 'lab.raw', verifyEveryMs?: number): Promise<Digest> {
  const file = (await lookInto(folder)).files.find((found) => found.name === name);
  if (!file) throw new Error(`${name} is not there`);
  return digests.of(folder, file, verifyEveryMs);
}

const hashed = () => told.filter(({ message }) => message === 'file hashed').length;
const digested = (name?: string) => until('its digest', async () => (await ask(name)).kind === 'ready');
const settled = (files: number) => until('the pass ended', () => hashed() === files);

/** The one after which all of it is read again. */
async function verified(name?: string): Promise<Digest> {
  const before = hashed();
  clock += 2;
  await until('it is read again', async () => {
    const digest = await ask(name, 1);
    return digest.kind === 'failed' || hashed() > before;
  });
  return ask(name, 1_000);
}

const rootOf = (content: Buffer): string => {
  const hashes = new Hashes({ sizeBytes: content.length, chunkBytes: LEAST_CHUNK_BYTES });
  hashes.add(content);
  const { sha256, manifest } = hashes.finish();
  return `${sha256}.${manifest?.root}.chunks`;
};
const kept = (): string[] => readdirSync(join(state, 'chunks')).sort();
const names = (...contents: readonly Buffer[]): string[] => contents.map(rootOf).sort();
const content = (fill: string, length = 200_000): Buffer => Buffer.alloc(length, fill);
const [a, b, c] = ['a', 'b', 'c'].map((fill) => content(fill)) as [Buffer, Buffer, Buffer];

test.each<{ what: string; after: () => Promise<unknown>; has: readonly Buffer[] }>([
  { what: 'files that are digested', after: async () => undefined, has: [a, b] },
  {
    what: 'a file that became another',
    after: async () => {
      writeFileSync(path('lab.raw'), c);
      await digested();
      await settled(3);
    },
    has: [b, c],
  },
  {
    what: 'content that is in another file still',
    after: async () => {
      put('lab.2.raw', a);
      await digested('lab.2.raw');
      writeFileSync(path('lab.raw'), b);
      await digested();
      await settled(4);
    },
    has: [a, b],
  },
  {
    what: 'files over a restart, and what no file has goes',
    after: async () => {
      await digests.close();
      for (const name of ['x.partial', rootOf(c)]) writeFileSync(join(state, 'chunks', name), 'left');
      await start();
    },
    has: [a, b],
  },
  {
    what: 'a file whose manifest rotted, when it was read again',
    after: async () => {
      writeFileSync(join(state, 'chunks', rootOf(a)), 'rotten');
      await verified();
      expect((await chunks.of(rootOf(a).slice(0, 64)))?.sizeBytes).toBe(a.length);
    },
    has: [a, b],
  },
])('there are manifests of $what', async ({ after, has }) => {
  put('lab.raw', a);
  put('lab.initrd', b);
  await start();
  for (const name of ['lab.raw', 'lab.initrd']) await digested(name);
  await settled(2);
  await after();
  await until('they are those', () => kept().join() === names(...has).join());
});

test('a file that an earlier release digested is read again for its manifest, and its digest holds meanwhile', async () => {
  put('lab.initrd', a);
  await start({ without: true });
  await digested('lab.initrd');
  await digests.close();
  await start();
  expect(await ask('lab.initrd')).toMatchObject({ kind: 'ready' });
  await settled(2);
  expect([kept(), (await ask('lab.initrd')).kind]).toEqual([names(a), 'ready']);
});

test('what cannot be written costs the manifest, never the digest, and is told and tried once an hour', async () => {
  writeFileSync(join(state, 'chunks'), 'a file where the folder would be');
  for (const name of ['lab.raw', 'lab.2.raw']) put(name, a);
  let opened = 0;
  const open: typeof openRegular = (of) => {
    opened++;
    return openRegular(of);
  };
  await start({ open });
  for (const name of ['lab.raw', 'lab.2.raw', 'lab.raw', 'lab.2.raw']) await digested(name);
  await settled(2);
  for (const name of ['lab.raw', 'lab.2.raw']) expect(await ask(name)).toMatchObject({ kind: 'ready' });
  expect(opened).toBe(2);
  expect(told.filter(({ message }) => message === 'chunk manifests are not kept')).toHaveLength(1);
});

/** These bytes change, size and time stay, and it is read again. */
async function rots(...at: readonly number[]): Promise<Digest> {
  const bytes = Buffer.from(a);
  for (const offset of at) bytes[offset] = 0;
  put('lab.raw', bytes);
  return verified();
}

const CHUNK = LEAST_CHUNK_BYTES;
const LAST_BYTES = a.length - 3 * CHUNK;

test.each<{ what: string; after: () => Promise<unknown>; rotten: boolean; rot: object }>([
  { what: 'reads as before', after: verified, rotten: false, rot: { chunks: 0, bytes: 0 } },
  {
    what: 'changed',
    after: () => rots(5, CHUNK + 1, a.length - 1),
    rotten: true,
    rot: { chunks: 3, bytes: 2 * CHUNK + LAST_BYTES },
  },
  {
    what: 'changed and stays so',
    after: () => rots(5).then(() => verified()),
    rotten: true,
    rot: { chunks: 1, bytes: CHUNK },
  },
  {
    what: 'changed again',
    after: () => rots(5).then(() => rots(5, CHUNK)),
    rotten: true,
    rot: { chunks: 2, bytes: 2 * CHUNK },
  },
  {
    what: 'changed and reads right again',
    after: () => rots(5).then(() => rots()),
    rotten: false,
    rot: { chunks: 1, bytes: CHUNK },
  },
  {
    what: 'changed, and the server was started again',
    after: async () => {
      await rots(5);
      await digests.close();
      await start();
    },
    rotten: true,
    rot: { chunks: 0, bytes: 0 },
  },
  {
    what: 'changed, and another came',
    after: async () => {
      await rots(5);
      unlinkSync(path('lab.raw'));
      writeFileSync(path('lab.raw'), a);
      await digested();
    },
    rotten: false,
    rot: { chunks: 1, bytes: CHUNK },
  },
  {
    what: 'changed while it could not be read',
    after: async () => {
      await digests.close();
      let fails = true;
      const open: typeof openRegular = (of) => {
        if (fails) throw new Error('EIO');
        return openRegular(of);
      };
      await start({ open });
      expect(await rots(5)).toMatchObject({ kind: 'failed', message: expect.stringContaining('EIO') });
      fails = false;
      const { now } = performance;
      performance.now = () => now.call(performance) + 11_000;
      await digested().finally(() => {
        performance.now = now;
      });
    },
    rotten: true,
    rot: { chunks: 1, bytes: CHUNK },
  },
])('a file that $what is rotten: $rotten', async ({ after, rotten, rot }) => {
  put('lab.raw', a);
  await start();
  await digested();
  await settled(1);
  await after();
  const digest = await ask('lab.raw', 1_000);
  expect([digest.kind, 'rotten' in digest, digests.rot]).toEqual(['ready', rotten, rot]);
});

test('the log names where it changed, the first of them', async () => {
  const large = content('a', 20 * CHUNK);
  put('lab.raw', large);
  await start();
  await digested();
  await settled(1);
  put('lab.raw', content('b', 20 * CHUNK));
  await verified();
  expect(told.find(({ message }) => message.startsWith('content changed'))).toMatchObject({
    ...{ path: path('lab.raw'), chunks: 20, bytes: 20 * CHUNK },
    offsets: Array.from({ length: 16 }, (_, chunk) => chunk * CHUNK),
  });
});

test('a thread that dies costs the pass that it had: what is not known is failed, what is known holds, and both are read again', async () => {
  put('lab.raw', a);
  put('lab.initrd', content('b', 1));
  let dies = true;
  const well = aHasher();
  const hasher: FileHasher = {
    ...well,
    begin: (shape) => {
      if (!dies || shape.sizeBytes === 1) return well.begin(shape);
      return { ...well.begin(shape), finish: () => Promise.reject(new HasherLost('the thread ended')) };
    },
  };
  const { now } = performance;
  let ms = 0;
  performance.now = () => now.call(performance) + ms;
  try {
    await start({ hasher });
    await until('it failed', async () => (await ask()).kind === 'failed');
    dies = false;
    ms += 11_000;
    for (const name of ['lab.raw', 'lab.initrd']) await digested(name);
    await settled(2);
    dies = true;
    clock += 2;
    const failed = () => told.filter(({ message }) => message === 'a file is not hashed').length;
    await until('it failed again', async () => (await ask('lab.raw', 1)).kind === 'ready' && failed() === 2);
    expect(await ask('lab.raw', 1)).toMatchObject({ kind: 'ready', at: 0 });
    await verified('lab.initrd'); // which waits for what was asked before
    expect(failed()).toBe(2);
    dies = false;
    ms += 11_000;
    expect(await verified()).toMatchObject({ kind: 'ready', at: clock });
  } finally {
    performance.now = now;
  }
});
