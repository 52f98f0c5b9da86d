import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../test/setup/time.ts';
import { leadsTo } from '../kit/file.ts';
import { EncodedManifests } from './encoded.ts';
import { chunksOf, type Held } from './holdings.ts';
import { encode, LEAST_CHUNK_BYTES } from './manifest.ts';
import { clearPulling, forgetPulled, PullingReader, PullingWriter } from './pulling.ts';

const CHUNKS = 20;
const shape = { sizeBytes: CHUNKS * LEAST_CHUNK_BYTES, chunkBytes: LEAST_CHUNK_BYTES };
const manifestOf = (sha256: string, fill: number) =>
  encode({ ...shape, sha256, digests: new Uint8Array(CHUNKS * 32).fill(fill), zeros: new Uint8Array(CHUNKS) });
const MANIFEST = manifestOf('ab'.repeat(32), 7);
const { sha256, root } = MANIFEST;

let home: string;
let folder: string;
let path: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'bootfarm-pulling-'));
  folder = join(home, 'work/pulls');
  mkdirSync(join(home, 'srv/lab'), { recursive: true });
  path = join(home, 'srv/lab/lab.raw.partial');
  writeFileSync(path, randomBytes(100));
});
afterEach(() => rmSync(home, { recursive: true }));

/** As of another process: nothing that was seen before is known. */
const reader = (storeRoots = [join(home, 'srv')]) =>
  new PullingReader({ folder, storeRoots, encoded: new EncodedManifests() });
const chunksIn = (held: Held | undefined) => held && (held.has === 'all' ? held.has : [...chunksOf(held.has, CHUNKS)]);
const seen = async () => chunksIn(await reader().of(sha256));

test('what is pulled is told as it comes, and forgotten at its end', async () => {
  const has = new Uint8Array(CHUNKS);
  has[3] = 1;
  const writer = new PullingWriter(folder);
  const withdraw = writer.offer({ manifest: MANIFEST, path, has });
  const other = reader();
  const held = await other.of(sha256);
  expect(held?.manifest).toEqual({ ...shape, chunks: CHUNKS, sha256, root });
  expect(await held?.encoded()).toEqual(MANIFEST.encoded);
  const opened = await held?.open();
  if (!opened?.ok) throw new Error('not opened');
  expect(await opened.value.readFile()).toEqual(readFileSync(path));
  await opened.value.close();
  expect(await seen()).toEqual([...has]);
  has.fill(1);
  await until('all is told, to who had looked before, too', async () =>
    [await seen(), chunksIn(await other.of(sha256))].every((now) => `${now}` === `${has}`),
  );
  withdraw();
  expect(readdirSync(folder)).toEqual([]);
  await until('the other forgets it', async () => (await other.of(sha256)) === undefined);
});

test('of two that are pulled to one place the last one counts', async () => {
  const has = new Uint8Array(CHUNKS).fill(1);
  const before = manifestOf('cd'.repeat(32), 7);
  new PullingWriter(folder).offer({ manifest: before, path, has }); // its process was killed
  expect(await reader().of(before.sha256)).toBeDefined();
  new PullingWriter(folder).offer({ manifest: MANIFEST, path, has });
  expect(await reader().of(before.sha256)).toBeUndefined();
  expect(await reader().of(sha256)).toBeDefined();
  clearPulling(folder);
  expect(await reader().of(sha256)).toBeUndefined();
});

test('what cannot be told is told of, and the pull goes on', () => {
  const faults: unknown[] = [];
  writeFileSync(join(home, 'work'), 'no folder');
  const writer = new PullingWriter(folder, (fault) => faults.push(fault));
  writer.offer({ manifest: MANIFEST, path, has: new Uint8Array(CHUNKS) })();
  expect(faults.length).toBeGreaterThan(0);
});

test('one that is whole is given by its own name, until the other forgets it, or it is another file', async () => {
  const whole = join(home, 'srv/lab/lab.raw');
  renameSync(path, whole);
  new PullingWriter(folder).whole({ manifest: MANIFEST, path: whole });
  const held = await reader().of(sha256);
  expect(held).toMatchObject({ path: whole, has: 'all', manifest: { sha256, root } });
  expect(await held?.encoded()).toEqual(MANIFEST.encoded);
  writeFileSync(whole, randomBytes(99));
  expect(await held?.open()).toMatchObject({ ok: false, error: { code: 'FileChanged' } });
  expect(await reader().of(sha256)).toBeUndefined();
  forgetPulled(folder, sha256);
  expect(readdirSync(folder)).toEqual([]);
});

test('a root that hangs is asked once, and not at all for a file whose own root answers', async () => {
  const hung = join(home, 'hung');
  const asked: string[] = [];
  const slow = new PullingReader({
    ...{ folder, storeRoots: [hung, join(home, 'srv')], encoded: new EncodedManifests() },
    leadsTo: (root) => {
      asked.push(root);
      return root === hung ? new Promise<string>(() => {}) : leadsTo(root);
    },
  });
  const writer = new PullingWriter(folder);
  writer.offer({ manifest: MANIFEST, path, has: new Uint8Array(CHUNKS) });
  expect(await slow.of(sha256)).toBeDefined();
  expect(asked).toEqual([join(home, 'srv')]);
  const [other, another] = [manifestOf('cd'.repeat(32), 7), manifestOf('ef'.repeat(32), 7)];
  const outside = join(home, 'out.partial');
  writeFileSync(outside, 'secret');
  for (const manifest of [other, another]) writer.offer({ manifest, path: outside, has: new Uint8Array(CHUNKS) });
  expect([await slow.of(other.sha256), await slow.of(another.sha256)]).toEqual([undefined, undefined]);
  expect(asked.filter((root) => root === hung)).toHaveLength(1);
});

const file = (end: string) => join(folder, `${sha256}.${end}`);
const rewrite = (change: (record: Record<string, unknown>) => object) =>
  writeFileSync(file('json'), JSON.stringify(change(JSON.parse(readFileSync(file('json'), 'utf8')))));
/** Another file, as if it were the one that is pulled. */
const place = (other: string) => rewrite((record) => ({ ...record, path: other, inode: `${statSync(other).ino}` }));

test.each<[what: string, change: () => void]>([
  ['a record that is none', () => writeFileSync(file('json'), '{')],
  ['a record of other fields', () => rewrite(({ path: _, ...rest }) => rest)],
  ['a record that is too long', () => rewrite((record) => ({ ...record, more: 'x'.repeat(10_000) }))],
  ['a root that is none', () => rewrite((record) => ({ ...record, root: 'ab' }))],
  ['no manifest', () => rmSync(file('chunks'))],
  ['the manifest of another file', () => writeFileSync(file('chunks'), manifestOf('cd'.repeat(32), 7).encoded)],
  ['a manifest that is none', () => writeFileSync(file('chunks'), randomBytes(100))],
  ['no bits', () => rmSync(file('bits'))],
  ['too few bits', () => writeFileSync(file('bits'), Buffer.alloc(2))],
  ['too many bits', () => writeFileSync(file('bits'), Buffer.alloc(4))],
  [
    'bits that are elsewhere',
    () => {
      renameSync(file('bits'), join(home, 'secret'));
      symlinkSync(join(home, 'secret'), file('bits'));
    },
  ],
  ['a file that is gone', () => rmSync(path)],
  [
    'another file by its name',
    () => {
      renameSync(path, join(home, 'srv/lab/kept'));
      writeFileSync(path, randomBytes(100));
    },
  ],
  [
    'a file that has its name by now',
    () => {
      renameSync(path, join(home, 'srv/lab/lab.raw'));
      place(join(home, 'srv/lab/lab.raw'));
    },
  ],
  [
    'a file outside of all stores',
    () => {
      writeFileSync(join(home, 'secret.partial'), 'secret');
      place(join(home, 'secret.partial'));
    },
  ],
  [
    'a way out of the stores',
    () => {
      writeFileSync(join(home, 'secret.partial'), 'secret');
      place(`${join(home, 'srv')}/../secret.partial`);
    },
  ],
  [
    'a link out of the stores',
    () => {
      writeFileSync(join(home, 'secret.partial'), 'secret');
      symlinkSync(join(home, 'secret.partial'), join(home, 'srv/link.partial'));
      place(join(home, 'srv/link.partial'));
    },
  ],
  [
    'a folder that leads out of the stores',
    () => {
      writeFileSync(join(home, 'secret.partial'), 'secret');
      symlinkSync(home, join(home, 'srv/out'));
      place(join(home, 'srv/out/secret.partial'));
    },
  ],
  [
    'a folder',
    () => {
      mkdirSync(join(home, 'srv/folder.partial'));
      place(join(home, 'srv/folder.partial'));
    },
  ],
])('%s: nothing is given', async (_, change) => {
  new PullingWriter(folder).offer({ manifest: MANIFEST, path, has: new Uint8Array(CHUNKS) });
  expect(await seen()).toBeDefined();
  change();
  expect(await seen()).toBeUndefined();
});

test('a manifest that rots is not given', async () => {
  new PullingWriter(folder).offer({ manifest: MANIFEST, path, has: new Uint8Array(CHUNKS) });
  writeFileSync(file('chunks'), manifestOf(sha256, 8).encoded);
  expect(await (await reader().of(sha256))?.encoded()).toBeUndefined();
});

test('a link that comes later is not followed', async () => {
  new PullingWriter(folder).offer({ manifest: MANIFEST, path, has: new Uint8Array(CHUNKS) });
  const held = await reader().of(sha256);
  renameSync(path, join(home, 'kept'));
  symlinkSync(join(home, 'kept'), path);
  expect(await held?.open()).toMatchObject({ ok: false });
});

test('stores whose root is a link are stores', async () => {
  symlinkSync(join(home, 'srv'), join(home, 'stores'));
  const linked = join(home, 'stores/lab/lab.raw.partial');
  new PullingWriter(folder).offer({ manifest: MANIFEST, path: linked, has: new Uint8Array(CHUNKS) });
  expect((await reader([join(home, 'stores')]).of(sha256))?.path).toBe(path);
});
