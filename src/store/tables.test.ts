/** Leaf tables beside the digests, on real files. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { aHasher } from '../../test/fakes/hasher.ts';
import { withLeaves } from '../../test/setup/leaves.ts';
import { until } from '../../test/setup/time.ts';
import { openRaw } from '../image/raw/raw.ts';
import type { TableRef } from '../image/tree/table.ts';
import { openRegular } from '../kit/file.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Digests } from './digests.ts';
import { lookInto } from './inventory.ts';
import { Tables } from './tables.ts';

let state: string;
let folder: string;
let image: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'bootfarm-tables-'));
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-store-'));
  image = join(folder, 'lab.raw');
});
afterEach(() => {
  for (const made of [state, folder]) rmSync(made, { recursive: true });
});

async function started(open = openRegular): Promise<Digests> {
  const digests = new Digests(state, silentLogger, {
    open,
    hasher: aHasher(),
    tables: new Tables(state, silentLogger),
  });
  await digests.load();
  return digests;
}

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const tables = (): string[] => (existsSync(join(state, 'leaves')) ? readdirSync(join(state, 'leaves')) : []);

/** The table of the images of these names, the first of which is a difference of the second, and so on. */
async function tableIn(digests: Digests, names: readonly string[] = ['lab.raw']): Promise<TableRef | undefined> {
  const { files } = await lookInto(folder);
  const images = names.flatMap((name) => files.filter((file) => file.name === name));
  return digests.tableOf(folder, images);
}

/** Asks until the image has its digest, and waits for its table. */
async function digested(digests: Digests): Promise<void> {
  await until('its digest and table', async () => {
    const [file] = (await lookInto(folder)).files;
    return file !== undefined && digests.of(folder, file).kind === 'ready' && (await tableIn(digests)) !== undefined;
  });
}

test('made in the pass that digests, kept over a restart, and made anew with the image', async () => {
  const [first, second] = [Buffer.alloc((3 << 20) + 512, 'a'), Buffer.alloc(1 << 20, 'b')];
  writeFileSync(image, first);
  const digests = await started();
  await digested(digests);
  await digests.close();
  expect(tables()).toEqual([`${sha256(first)}.leaves`]);

  const again = await started();
  const ref = await tableIn(again);
  const disk = await openRaw(image);
  if (!disk.ok || !ref) throw new Error('no disk, or no table');
  const layered = await withLeaves(disk.value, ref);
  expect((await layered.read(1 << 20, 512)).ok).toBe(true);
  await layered.close();

  writeFileSync(image, second);
  await until('the other digest', async () => {
    const [file] = (await lookInto(folder)).files;
    const digest = file && again.of(folder, file);
    return digest?.kind === 'ready' && digest.sha256 === sha256(second) && (await tableIn(again)) !== undefined;
  });
  await again.close();
  expect(tables()).toEqual([`${sha256(second)}.leaves`]);
});

test('one that a crash left half made goes; one that was lost, or found wrong, is made again', async () => {
  writeFileSync(image, Buffer.alloc(1 << 20, 'a'));
  mkdirSync(join(state, 'leaves'));
  writeFileSync(join(state, 'leaves', 'x.partial'), 'half');
  const digests = await started();
  await digested(digests);
  const ref = await tableIn(digests);
  expect(tables()).toHaveLength(1);
  if (!ref) return;
  truncateSync(ref.path);
  await digests.tableLost(ref);
  expect(await tableIn(digests)).toBeUndefined();
  await digested(digests);
  expect(await tableIn(digests)).toEqual(ref);
  rmSync(ref.path);
  await digests.close();
  const again = await started();
  expect(await tableIn(again)).toBeUndefined();
  await digested(again);
  await again.close();
});

test('what is only read again leaves its table as it is', async () => {
  writeFileSync(image, Buffer.alloc(1 << 20, 'a'));
  const digests = await started();
  await digested(digests);
  const path = (await tableIn(digests))?.path ?? '';
  const { ino } = statSync(path);
  const [file] = (await lookInto(folder)).files;
  if (!file) throw new Error('no file');
  const readAt = (): number => {
    const digest = digests.of(folder, file, 0);
    return digest.kind === 'ready' ? (digest.at ?? 0) : 0;
  };
  const before = readAt();
  await until('it was read again', () => readAt() > before);
  expect([statSync(path).ino, (await tableIn(digests))?.path]).toEqual([ino, path]);
  await digests.close();
});

test('what cannot be written costs the table, and not the digest', async () => {
  const bytes = Buffer.alloc(1 << 20, 'a');
  writeFileSync(image, bytes);
  writeFileSync(join(state, 'leaves'), 'a file where the folder would be');
  const digests = await started();
  await until('its digest', async () => {
    const [file] = (await lookInto(folder)).files;
    const digest = file && digests.of(folder, file);
    return digest?.kind === 'ready' && digest.sha256 === sha256(bytes);
  });
  expect(await tableIn(digests)).toBeUndefined();
  await digests.close();
});

test('what is no plain image has none', async () => {
  writeFileSync(join(folder, 'lab.initrd'), Buffer.alloc(1 << 20, 'a'));
  const digests = await started();
  await until('its digest', async () => {
    const [file] = (await lookInto(folder)).files;
    return file !== undefined && digests.of(folder, file).kind === 'ready';
  });
  await digests.close();
  expect(tables()).toEqual([]);
});
