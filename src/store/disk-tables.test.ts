/** Leaf tables of disks in images of any format, as a server makes them, on real files. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { imageName, VHDX, writeChain } from '../../test/builders/chain.ts';
import { type Held, type Layer, shownBy, writeImage } from '../../test/builders/image.ts';
import { vhdImage } from '../../test/builders/vhd.ts';
import { aHasher } from '../../test/fakes/hasher.ts';
import { tableOf } from '../../test/setup/leaves.ts';
import { until } from '../../test/setup/time.ts';
import { openRaw } from '../image/raw/raw.ts';
import type { TableRef } from '../image/tree/table.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Digests } from './digests.ts';
import { lookInto } from './inventory.ts';
import { Tables, tableKey } from './tables.ts';

let state: string;
let folder: string;
/** Of each table that was made, in turn: the image, and what was read for it. */
let made: { readonly path: string; readonly readBytes: number }[];
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'bootfarm-tables-'));
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-store-'));
  made = [];
});
afterEach(() => {
  for (const path of [state, folder]) rmSync(path, { recursive: true });
});

const MIB = 1 << 20;
const CHAIN = ['lab.2.avhdx', 'lab.1.avhdx', 'lab.vhdx'];
/** The first 9 sectors of a block: one piece, and a part of the next. */
const part: Held = Array.from({ length: 2_048 }, (_, sector) => sector < 9);
const layer = (seed: number, blocks: readonly [number, Held][]): Layer => ({
  ...{ sizeBytes: 6 * MIB, blockBytes: MIB, sectorBytes: 512, seed, blocks: new Map(blocks) },
});
const base = (seed = 1) =>
  layer(seed, [
    [0, 'whole'],
    [3, 'whole'],
  ]);
const update = (seed = 2) =>
  layer(seed, [
    [1, 'whole'],
    [3, part],
  ]);
const newest = layer(3, [
  [0, 'zeros'],
  [3, part],
]);

const write = (number: number, of: Layer): string =>
  writeImage(join(folder, imageName(VHDX, number)), VHDX.image(of, number));
async function started(): Promise<Digests> {
  const told = (fields: { path: string; root?: string; readBytes: number }) => {
    if (fields.root !== undefined)
      made.push({ path: fields.path.slice(folder.length + 1), readBytes: fields.readBytes });
  };
  const log = { ...silentLogger, info: told } as typeof silentLogger;
  const digests = new Digests(state, log, { hasher: aHasher(), tables: new Tables(state, silentLogger) });
  await digests.load();
  return digests;
}

/** As a look does it: asks for the digests, and then for the tables of the disks that these images and those behind them are. */
async function asked(digests: Digests, of = CHAIN): Promise<readonly (TableRef | undefined)[]> {
  const { files } = await lookInto(folder);
  const images = of.flatMap((name) => files.filter((file) => file.name === name));
  for (const file of images) digests.of(folder, file);
  return images.map((_, index) => digests.tableOf(folder, images.slice(index)));
}

async function tablesOf(digests: Digests, of = CHAIN): Promise<readonly TableRef[]> {
  let refs: readonly (TableRef | undefined)[] = [];
  await until('all tables', async () => {
    refs = await asked(digests, of);
    return refs.length === of.length && refs.every((ref) => ref !== undefined);
  });
  return refs.flatMap((ref) => ref ?? []);
}

const tables = (): string[] => (existsSync(join(state, 'leaves')) ? readdirSync(join(state, 'leaves')) : []);

/** Of the same content in a raw file. */
async function rootOf(layers: readonly Layer[]): Promise<string> {
  const path = join(state, 'flat.raw');
  writeFileSync(path, shownBy(layers));
  const disk = await openRaw(path);
  if (!disk.ok) throw new Error(disk.error.message);
  const { root } = await tableOf(disk.value, state);
  await disk.value.close();
  return root;
}

test('of a chain each disk has its own, those below first, and of a difference only what it holds is read', async () => {
  const layers = [base(), update(), newest];
  writeChain(folder, VHDX, layers);
  const digests = await started();
  const refs = await tablesOf(digests);
  for (const [index, ref] of refs.entries()) expect(ref.root).toBe(await rootOf(layers.slice(0, 3 - index)));
  expect(made).toEqual([
    { path: 'lab.vhdx', readBytes: 2 * MIB },
    { path: 'lab.1.avhdx', readBytes: MIB + 2 * 4_096 },
    { path: 'lab.2.avhdx', readBytes: 2 * 4_096 },
  ]);
  await digests.close();

  const again = await started();
  expect(await asked(again)).toEqual(refs);
  await again.close();
  expect(tables()).toHaveLength(3);
});

test('of the newest alone all is read through the chain; with a table further down, what lies above that', async () => {
  const layers = [base(), update(), newest];
  writeChain(folder, VHDX, layers);
  const digests = await started();
  const { files } = await lookInto(folder);
  const image = (name: string) => files.filter((file) => file.name === name);
  const chain = CHAIN.flatMap(image);
  await until('all digests', () => chain.every((file) => digests.of(folder, file).kind === 'ready'));
  await until('the table of the base', () => digests.tableOf(folder, image('lab.vhdx')) !== undefined);
  await until('that of the newest', () => digests.tableOf(folder, chain) !== undefined);
  expect(digests.tableOf(folder, chain)?.root).toBe(await rootOf(layers));
  expect(made.map(({ readBytes }) => readBytes)).toEqual([2 * MIB, MIB + 2 * 4_096]);
  await digests.close();
});

test.each<{ what: string; happens: () => void; layers: readonly Layer[]; again: readonly string[] }>([
  {
    what: 'a difference',
    happens: () => write(1, update(7)),
    layers: [base(), update(7)],
    again: ['lab.1.avhdx'],
  },
  {
    what: 'the base',
    happens: () => write(0, base(8)),
    layers: [base(8), update()],
    again: ['lab.vhdx', 'lab.1.avhdx'],
  },
])('when the content of $what changes, tables with it in them are made anew, and the old ones go', async (scene) => {
  const chain = CHAIN.slice(1);
  writeChain(folder, VHDX, [base(), update()]);
  const digests = await started();
  await tablesOf(digests, chain);
  // A table is told of after it is there.
  await until('that they were made', () => made.length === chain.length);
  made = [];
  scene.happens();
  utimesSync(join(folder, scene.again[0] ?? ''), new Date(), new Date(Date.now() - 60_000));
  const wanted = await rootOf(scene.layers);
  await until('the other table', async () => (await asked(digests, chain)).every((ref) => ref) && made.length > 0);
  await until('all of them', async () => (await tablesOf(digests, chain))[0]?.root === wanted);
  await until('that all were told', () => made.length >= scene.again.length);
  expect(made.map(({ path }) => path)).toEqual(scene.again);
  await until('the old ones went', () => tables().length === 2);
  await digests.close();
});

test('one that was made of what had rotted is made anew when the rot is found, and mended', async () => {
  writeChain(folder, VHDX, [base(), update()]);
  const digests = await started();
  const chain = CHAIN.slice(1);
  const path = join(folder, 'lab.vhdx');
  const { atime, mtime } = statSync(path);
  /** The last sector of the file: of a block of the base. */
  const change = (by: number): void => {
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ by;
    const file = openSync(path, 'r+');
    writeSync(file, bytes, bytes.length - 512, 512, bytes.length - 512);
    closeSync(file);
    utimesSync(path, atime, mtime);
  };
  utimesSync(path, atime, mtime);
  const verified = (): Promise<unknown> =>
    until('it was read again', async () => {
      const [file] = (await lookInto(folder)).files.filter(({ name }) => name === 'lab.vhdx');
      const digest = file && digests.of(folder, file, 0);
      return (
        digest?.kind === 'ready' && digest.sha256 === createHash('sha256').update(readFileSync(path)).digest('hex')
      );
    });
  const { files } = await lookInto(folder);
  const images = chain.flatMap((name) => files.filter((file) => file.name === name));
  await until('their digests', () => images.every((file) => digests.of(folder, file).kind === 'ready'));
  change(1);
  const right = await rootOf([base(), update()]);
  expect((await tablesOf(digests, chain))[0]?.root).not.toBe(right);
  await verified();
  change(1);
  await verified();
  await until('the right table', async () => (await asked(digests, chain))[0]?.root === right);
  await digests.close();
});

test('one that is found wrong is made again', async () => {
  writeChain(folder, VHDX, [base(), update()]);
  const digests = await started();
  const [ref] = await tablesOf(digests, CHAIN.slice(1));
  if (!ref) throw new Error('no table');
  await digests.tableLost(ref);
  expect((await asked(digests, CHAIN.slice(1)))[0]).toBeUndefined();
  expect((await tablesOf(digests, CHAIN.slice(1)))[0]).toEqual(ref);
  await digests.close();
});

test('a VHD has the table of its disk, not of its file', async () => {
  const of = { ...layer(4, [[2, 'whole']]), blockBytes: 65_536 };
  writeImage(join(folder, 'lab.vhd'), vhdImage(of));
  const digests = await started();
  const [ref] = await tablesOf(digests, ['lab.vhd']);
  expect(ref?.root).toBe(await rootOf([of]));
  await digests.close();
});

test('an image that cannot be opened costs its table, and what is read is what was looked at', async () => {
  writeChain(folder, VHDX, [base(), update()]);
  const digests = await started();
  await tablesOf(digests, ['lab.vhdx']);
  const { files } = await lookInto(folder);
  const images = CHAIN.slice(1).flatMap((name) => files.filter((file) => file.name === name));
  await until('its digest', () => images.every((file) => digests.of(folder, file).kind === 'ready'));
  // Renamed over between the look and the reading.
  write(1, update(9));
  expect(digests.tableOf(folder, images)).toBeUndefined();
  rmSync(join(folder, 'lab.1.avhdx'));
  await digests.close();
  expect(made.map(({ path }) => path)).toEqual(['lab.vhdx']);
  expect(tables().filter((name) => !name.endsWith('.partial'))).toHaveLength(1);
});

test('what names a table is what decides the disk: contents, formats and their order', () => {
  const image = (name: string, digit: string) => ({ name, sha256: digit.repeat(64) });
  const chains = [
    [image('lab.raw', 'a')],
    [image('lab.vhd', 'a')],
    [image('lab.vhdx', 'a')],
    [image('lab.1.avhdx', 'a'), image('lab.vhdx', 'b')],
    [image('lab.1.avhdx', 'b'), image('lab.vhdx', 'a')],
    [image('lab.1.avhdx', 'a'), image('lab.vhdx', 'c')],
  ];
  expect(new Set(chains.map(tableKey)).size).toBe(chains.length);
  expect(tableKey([image('lab.raw', 'a')])).toBe('a'.repeat(64));
  expect(tableKey([image('lab.1.avhdx', 'a'), image('lab.vhdx', 'b')])).toBe(
    tableKey([image('other.7.avhdx', 'a'), image('x.vhdx', 'b')]),
  );
});
