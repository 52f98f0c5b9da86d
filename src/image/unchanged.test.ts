/** What is made of disks that are written meanwhile has no name, and nothing of it stays. */
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { convertImage } from './convert.ts';
import type { Work } from './copy.ts';
import { createDifference } from './difference.ts';
import { mergeImages } from './merge.ts';
import { patternBytes } from './pattern/pattern.ts';

const MIB = 1 << 20;
let folder: string;
const at = (name: string): string => join(folder, name);

/** `lab.vhdx`, two differences of it, and what other disks show. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-unchanged-'));
  for (const seed of [0, 1, 2]) writeFileSync(at(`${seed}.raw`), patternBytes(0, 4 * MIB, seed));
  expect(await convertImage(at('0.raw'), at('lab.vhdx'))).toMatchObject({ ok: true });
  expect(await createDifference(at('lab.1.avhdx'), at('lab.vhdx'), { from: at('1.raw') })).toMatchObject({ ok: true });
  expect(await createDifference(at('lab.2.avhdx'), at('lab.1.avhdx'))).toMatchObject({ ok: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const works: readonly { what: string; reads: readonly string[]; make: (work: Work) => Promise<unknown> }[] = [
  { what: 'converted', reads: ['2.raw'], make: (work) => convertImage(at('2.raw'), at('made.vhd'), work) },
  {
    what: 'compared',
    reads: ['2.raw', 'lab.2.avhdx', 'lab.1.avhdx', 'lab.vhdx'],
    make: (work) => createDifference(at('lab.3.avhdx'), at('lab.2.avhdx'), { ...work, from: at('2.raw') }),
  },
  {
    what: 'merged into a base',
    reads: ['lab.2.avhdx', 'lab.1.avhdx', 'lab.vhdx'],
    make: (work) => mergeImages(at('lab.2.avhdx'), at('lab.3.vhdx'), 'base', work),
  },
  {
    what: 'merged into one difference',
    reads: ['lab.2.avhdx', 'lab.1.avhdx', 'lab.vhdx'],
    make: (work) => mergeImages(at('lab.2.avhdx'), at('lab.3.avhdx'), 'updates', work),
  },
];
const cases = works.flatMap(({ reads, ...work }) => reads.map((name) => ({ ...work, name })));

/** Its bytes stay: of what was written meanwhile the time tells, also where it is what was there. */
const written = (name: string): void => {
  writeFileSync(at(name), readFileSync(at(name)));
  utimesSync(at(name), 1, 1);
};

test.each(cases)('$name is written while it is $what', async ({ name, make }) => {
  const before = readdirSync(folder);
  expect(await make({ onProgress: () => written(name) })).toEqual({
    ok: false,
    error: { code: 'Changed', message: expect.stringContaining(`${at(name)} was changed while it was read`) },
  });
  expect(readdirSync(folder)).toEqual(before);
});

const parents = [
  {
    what: 'an empty difference',
    name: 'lab.2.avhdx',
    make: (work: Work) => createDifference(at('lab.3.avhdx'), at('lab.2.avhdx'), work),
  },
  { what: 'a difference', name: 'lab.2.avhdx', make: works[1]?.make },
  { what: 'one difference of all', name: 'lab.vhdx', make: works[3]?.make },
].flatMap((one) => [
  { ...one, way: 'another file', swap: () => copyFileSync(at('2.raw'), at(one.name)) },
  { ...one, way: 'not there', swap: () => undefined },
]);

test.each(parents)('of what is made $what the name leads to $way when it is whole', async ({ name, make, swap }) => {
  const before = readdirSync(folder);
  const beforeName = async () => {
    renameSync(at(name), at('away'));
    return void swap();
  };
  expect(await make?.({ beforeName })).toEqual({
    ok: false,
    error: {
      code: 'Changed',
      message: expect.stringMatching(new RegExp(`${at(name)} is .* now|${at(name)} is not there any more`)),
    },
  });
  rmSync(at(name), { force: true });
  renameSync(at('away'), at(name));
  expect(readdirSync(folder)).toEqual(before);
});

test.each(works)('one that grows while it is $what was not whole', async ({ reads: [name = ''], make }) => {
  expect(await make({ onProgress: () => appendFileSync(at(name), Buffer.alloc(512)) })).toMatchObject({
    error: { code: 'Changed' },
  });
});

test.each(works)(
  'one that gets a second name and other rights while it is $what is the same',
  async ({ reads: [name = ''], make }) => {
    let told = 0;
    const touch = (): void => {
      chmodSync(at(name), 0o600);
      linkSync(at(name), at(`second-${told++}`));
    };
    expect(await make({ onProgress: touch })).toMatchObject({ ok: true });
    expect(told).toBeGreaterThan(0);
  },
);
