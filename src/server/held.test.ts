import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { manifestOf } from '../../test/fakes/transfer.ts';
import { identityOf } from '../image/identity.ts';
import { Manifests } from '../transfer/keep.ts';
import { PullingWriter } from '../transfer/pulling.ts';
import { HeldFiles } from './held.ts';

const CONTENT = randomBytes(100_000);
const MANIFEST = manifestOf(CONTENT);
const { sha256 } = MANIFEST;

let root: string;
let state: string;
let path: string;
let held: HeldFiles;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bootfarm-held-'));
  state = join(root, 'state');
  mkdirSync(join(root, 'srv'));
  path = join(root, 'srv/lab.raw');
  writeFileSync(path, CONTENT);
  held = new HeldFiles({ stateDirectory: state, storeRoots: [join(root, 'srv')] });
});
afterEach(() => rmSync(root, { recursive: true }));

const right = () => [{ path, sha256, identity: identityOf(statSync(path, { bigint: true })) }];

test('a file that is right here is given once its manifest is kept, and as long as it is right', async () => {
  held.set(right());
  expect(await held.of(sha256)).toBeUndefined();
  await new Manifests(state).keep(MANIFEST);
  const file = await held.of(sha256);
  expect(file).toMatchObject({ path, has: 'all', manifest: { sha256, root: MANIFEST.root, sizeBytes: 100_000 } });
  expect(await file?.encoded()).toEqual(MANIFEST.encoded);
  const opened = await file?.open();
  if (!opened?.ok) throw new Error('not opened');
  expect((await opened.value.readFile()).equals(CONTENT)).toBe(true);
  await opened.value.close();
  expect(await held.of(createHash('sha256').update('another').digest('hex'))).toBeUndefined();
  held.set([]);
  expect(await held.of(sha256)).toBeUndefined();
});

test('another file in its place is not given', async () => {
  await new Manifests(state).keep(MANIFEST);
  held.set(right());
  rmSync(path);
  writeFileSync(path, randomBytes(100_000));
  expect(await (await held.of(sha256))?.open()).toMatchObject({ ok: false, error: { code: 'FileChanged' } });
});

test('of one that is being pulled what is verified is given, until it is right here', async () => {
  const partial = `${path}.partial`;
  writeFileSync(partial, CONTENT);
  new PullingWriter(join(state, 'work/pulls')).offer({ manifest: MANIFEST, path: partial, has: Uint8Array.of(1, 0) });
  expect(await held.of(sha256)).toMatchObject({ path: partial, has: Buffer.of(0x80) });
  await new Manifests(state).keep(MANIFEST);
  held.set(right());
  expect(await held.of(sha256)).toMatchObject({ path, has: 'all' });
});

test('properties of a version are shown, and given by their digest, as long as they are what was seen', async () => {
  const pvp = join(root, 'srv/lab.pvp');
  writeFileSync(pvp, 'properties');
  const digest = createHash('sha256').update('properties').digest('hex');
  const here = { sha256: digest, sizeBytes: 10, changes: 3, identity: identityOf(statSync(pvp, { bigint: true })) };
  const store = { store: 'images', folder: join(root, 'srv') };
  held.setProperties([{ ...store, files: [{ name: 'lab.pvp', here }, { name: 'lab.1.pvp' }] }]);
  expect(held.properties()).toEqual([{ store: 'images', name: 'lab.pvp', sha256: digest, sizeBytes: 10, changes: 3 }]);
  const [file, again] = await Promise.all([held.of(digest), held.of(digest)]);
  expect([file === again, file?.manifest.sizeBytes, file?.has]).toEqual([true, 10, 'all']);
  writeFileSync(pvp, 'other');
  expect(await held.of(digest)).toBeUndefined();
});
