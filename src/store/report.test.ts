import { describe, expect, test } from '@jest/globals';
import { aVDisk } from '../../test/builders/farm.ts';
import type { Version } from '../farm/model.ts';
import { fail, ok } from '../kit/result.ts';
import type { Digest } from './digests.ts';
import type { FileFacts, Inventory } from './inventory.ts';
import { copyFacts, unmanagedImages } from './report.ts';

const vdisk = aVDisk();
const version: Version = { vdisk: 'lab', number: 0, access: 'Production' };
const file = (name: string, sizeBytes: number): FileFacts => ({ name, sizeBytes, identity: name });
const image = (name: string, sizeBytes: number): FileFacts => ({ ...file(name, sizeBytes), image: ok({ sizeBytes }) });
const inventory = (files: FileFacts[], more: Partial<Inventory> = {}): Inventory => ({
  state: 'Accessible',
  freeBytes: 1,
  totalBytes: 2,
  files,
  message: '',
  ...more,
});
const whole = (disk: FileFacts): Inventory => inventory([disk, file('lab.vmlinuz', 7), file('lab.initrd', 8)]);
const hashed: Digest = { kind: 'ready', sha256: 'a'.repeat(64) };

describe('a copy is', () => {
  test.each<{ what: string; given: Inventory; digest?: Digest; is: object }>([
    {
      what: 'Present with all its files',
      given: whole(image('lab.raw', 1024)),
      is: {
        state: 'Present',
        diskBytes: 1024,
        files: [{ name: 'lab.raw' }, { name: 'lab.vmlinuz' }, { name: 'lab.initrd' }],
      },
    },
    {
      what: 'Present without properties, and says so',
      given: whole(image('lab.raw', 1024)),
      is: { state: 'Present', properties: null, files: { length: 3 } },
    },
    {
      what: 'Present with properties, which are none of its files',
      given: inventory([
        ...whole(image('lab.raw', 1024)).files,
        { ...file('lab.pvp', 9), properties: { name: 'lab.pvp', sha256: 'b' } },
      ]),
      is: { state: 'Present', properties: { name: 'lab.pvp', sha256: 'b' }, files: { length: 3 } },
    },
    {
      what: 'Present, whatever lies where its properties are to be',
      given: inventory([
        ...whole(image('lab.raw', 1024)).files,
        { ...file('lab.pvp', 0), fault: { code: 'NotRegular', message: 'lab.pvp is a folder' } },
      ]),
      is: { state: 'Present', properties: { name: 'lab.pvp', message: 'lab.pvp is a folder' } },
    },
    {
      what: 'Missing without its image',
      given: inventory([file('lab.vmlinuz', 7), file('lab.initrd', 8)]),
      is: { state: 'Missing', message: 'lab.raw is not in /srv: put the file there' },
    },
    {
      what: 'Missing without its kernel',
      given: inventory([image('lab.raw', 1024), file('lab.initrd', 8)]),
      is: { state: 'Missing', message: 'lab.vmlinuz is not in /srv: put the file there' },
    },
    {
      what: 'Missing without any of its files',
      given: inventory([image('other.raw', 1024)]),
      is: { state: 'Missing', message: 'lab.raw, lab.vmlinuz, lab.initrd are not in /srv: put the files there' },
    },
    {
      what: 'Missing when the store is',
      given: inventory([], { state: 'Missing', message: 'no folder' }),
      is: { state: 'Missing', message: 'no folder' },
    },
    {
      what: 'Faulty when its image is none',
      given: whole({ ...file('lab.raw', 1000), image: fail('SizeInvalid', 'lab.raw was cut') }),
      is: { state: 'Faulty', message: 'lab.raw was cut' },
    },
    {
      what: 'Faulty when a machine would see other sectors than it has',
      given: whole({ ...file('lab.vhdx', 1024), image: ok({ sizeBytes: 1024, blockSize: 4_096 }) }),
      is: { state: 'Faulty', message: expect.stringContaining('has sectors of 4096 bytes') },
    },
    {
      what: 'Faulty when the first of two images is none',
      given: inventory([image('lab.vhdx', 1024), { ...file('lab.raw', 0), image: fail('SizeInvalid', 'empty') }]),
      is: { state: 'Faulty', message: 'empty' },
    },
    {
      what: 'Faulty when a file is none, and says so of each',
      given: inventory([
        { ...file('lab.raw', 0), fault: { code: 'NotRegular', message: 'lab.raw is a folder' } },
        { ...file('lab.initrd', 0), fault: { code: 'LinkBroken', message: 'lab.initrd is a link' } },
      ]),
      is: { state: 'Faulty', message: 'lab.raw is a folder; lab.initrd is a link' },
    },
    {
      what: 'Faulty when unreadable',
      given: whole(image('lab.raw', 1024)),
      digest: { kind: 'failed', message: 'EIO' },
      is: { state: 'Faulty', message: 'EIO' },
    },
    {
      what: 'Hashing with its part done',
      given: whole(image('lab.raw', 1024)),
      digest: { kind: 'hashing', progressPercent: 40 },
      is: { state: 'Hashing', progressPercent: 40 },
    },
  ])('$what', ({ given, digest = hashed, is }) => {
    expect(copyFacts(vdisk, version, '/srv', given, () => digest)).toMatchObject(is);
  });

  test('one that lacks its kernel or initrd alone, and says of which image', () => {
    const disk = image('lab.raw', 1024);
    const lacks = (files: FileFacts[]) =>
      copyFacts(vdisk, version, '/srv', inventory(files), () => hashed).lacksBootFiles;
    const of = [[disk], [disk, file('lab.initrd', 8)], [{ ...disk, identity: 'another' }]].map(lacks);
    expect(of).toEqual([expect.stringMatching(/^[0-9a-f]{8}$/), of[0], expect.stringMatching(/^[0-9a-f]{8}$/)]);
    expect(of[2]).not.toBe(of[0]);
    const cut = { ...disk, image: fail('ImageInvalid', 'it was cut') };
    const others = [[], [file('lab.vmlinuz', 7)], [cut], whole(disk).files.slice()];
    expect(others.map(lacks)).toEqual(others.map(() => undefined));
  });
});

const written: FileFacts = { ...file('lab.vmlinuz', 7), fresh: true };
test.each<{ what: string; files: readonly FileFacts[]; is: readonly [string, true | undefined] }>([
  { what: 'whole', files: [image('lab.raw', 512), written, file('lab.initrd', 1)], is: ['Present', true] },
  { what: 'that lacks another file', files: [image('lab.raw', 512), written], is: ['Missing', true] },
  {
    what: 'whose own file is cut, so far',
    files: [
      { ...file('lab.raw', 513), image: fail('SizeInvalid', 'it was cut'), fresh: true },
      file('lab.vmlinuz', 7),
      file('lab.initrd', 1),
    ],
    is: ['Faulty', true],
  },
  { what: 'of files that nobody writes', files: whole(image('lab.raw', 512)).files, is: ['Present', undefined] },
])('a copy is fresh as one of its files is: one $what', ({ files, is }) => {
  const { state, fresh } = copyFacts(vdisk, version, '/srv', inventory([...files]), () => hashed);
  expect([state, fresh]).toEqual(is);
});

test('what no version needs is told: not its own image, not one below it, not what is no image', () => {
  const vhdx = (name: string, number: number): FileFacts => ({
    ...file(name, 512),
    image: ok({
      sizeBytes: 512,
      id: `vhdx:${number}`,
      ...(number > 0 && { parent: { names: [], ids: [`vhdx:${number - 1}`] } }),
    }),
  });
  const files = [
    ...[vhdx('lab.3.avhdx', 3), vhdx('lab.2.avhdx', 2), vhdx('lab.1.avhdx', 1), vhdx('lab.vhdx', 0)],
    ...[
      vhdx('other.vhdx', 0),
      file('lab.vmlinuz', 7),
      { ...file('lab.vhd', 0), fault: { code: 'NotRegular', message: '' } as const },
    ],
  ];
  const versions = [{ vdisk, version: { ...version, number: 2 } }];
  expect(unmanagedImages(versions, '/srv', inventory(files))).toEqual(['lab.3.avhdx', 'other.vhdx']);
  expect(unmanagedImages([], '/srv', inventory(files))).toHaveLength(5);
});

test('a copy was verified when that of its files was that was read longest ago', () => {
  const at: Readonly<Record<string, number>> = { 'lab.raw': 3, 'lab.vmlinuz': 2, 'lab.initrd': 5 };
  const digestOf = ({ name }: FileFacts): Digest => ({ ...hashed, at: at[name] ?? 0 });
  expect(copyFacts(vdisk, version, '/srv', whole(image('lab.raw', 512)), digestOf).verifiedAt).toBe(2);
});

test('a copy names those of its files that rotted', () => {
  const digestOf = ({ name }: FileFacts): Digest => (name === 'lab.initrd' ? { ...hashed, rotten: true } : hashed);
  const given = whole(image('lab.raw', 512));
  expect(copyFacts(vdisk, version, '/srv', given, digestOf).rotten).toEqual(['lab.initrd']);
  expect(copyFacts(vdisk, version, '/srv', given, () => hashed)).not.toHaveProperty('rotten');
});
