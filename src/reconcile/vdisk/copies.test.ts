import { expect, test } from '@jest/globals';
import { aVDisk } from '../../../test/builders/resources.ts';
import type { CopyReport } from '../../control/status.ts';
import type { CopiesFound } from '../../operator/copies.ts';
import { copiesFound } from './copies.ts';
import { type CopyHolder, judge } from './judge.ts';

const A = 'a'.repeat(64);
const fileOf = (name: string) => ({ name, sizeBytes: 512, sha256: A });
const report = (more: Partial<CopyReport> = {}): CopyReport => ({
  ...{ vdisk: 'lab', version: 1, state: 'Present', progressPercent: 100, diskBytes: 512, message: '' },
  ...{ files: [fileOf('lab.1.avhdx'), fileOf('lab.vhdx'), fileOf('lab.1.vmlinuz')], manifest: A },
  ...more,
});
const holder = (server: string, reports: readonly CopyReport[], more: Partial<CopyHolder> = {}): CopyHolder => ({
  ...{ server, folder: '/srv', reachable: true, silentMs: 0, unmanaged: [], work: [] },
  reports,
  ...more,
});
const B = 'b'.repeat(64);
const other = report({ manifest: B });
const { manifest: _, ...hashing } = report({ state: 'Hashing', progressPercent: 47, files: [] });

test.each<{ what: string; holders: readonly CopyHolder[]; known?: string; copies: readonly object[]; images: unknown }>(
  [
    {
      what: 'right, with its manifest and when it was read',
      ...{ holders: [holder('a', [report({ verifiedAt: 1_700_000_000_400 })])], known: A },
      copies: [{ server: 'a', version: 1, state: 'UpToDate', message: '', manifest: A, verifiedAt: 1_700_000_000 }],
      images: { a: [0, 1] },
    },
    {
      what: 'of a server that names no time, and no percent of ten',
      ...{ holders: [holder('a', [{ ...hashing, verifiedAt: Number.NaN }])], known: A },
      copies: [{ server: 'a', version: 1, state: 'Copying', message: '', progressPercent: 40 }],
      images: { a: [] },
    },
    {
      what: 'in conflict, with its files: what a person would make right',
      holders: [holder('a', [report()]), holder('b', [other])],
      copies: [report(), other].map(({ manifest, files }, at) => ({
        ...{ server: 'ab'[at], version: 1, state: 'Conflict', message: expect.any(String), manifest, files },
      })),
      images: { a: [0, 1], b: [0, 1] },
    },
    {
      what: 'of which nobody knows what lies there',
      ...{ holders: [holder('a', [report()], { reachable: false, silentMs: 9 })], known: A },
      copies: [{ server: 'a', version: 1, state: 'ServerUnreachable', message: 'server a does not answer' }],
      images: { a: 'Unknown' },
    },
    {
      what: 'beside images that no version needs',
      ...{
        holders: [
          holder('a', [report({ state: 'Missing', files: [], message: 'put it there' })], {
            unmanaged: ['lab.4.vhdx'],
          }),
        ],
        known: A,
      },
      copies: [expect.objectContaining({ state: 'Missing' })],
      images: { a: [4] },
    },
  ],
)('a copy is recorded $what', ({ holders, known, copies, images }) => {
  const vdisk = aVDisk({ spec: { versions: [{ number: 1, access: 'Production' }] } });
  const recorded = new Map(known === undefined ? [] : [[1, { manifest: known }]]);
  const found = { holders, recorded, overrides: [], devices: 0, nowSeconds: 0 };
  const told: CopiesFound = copiesFound(vdisk, found, judge(vdisk, found));
  expect(told.copies).toEqual(copies);
  expect(Object.fromEntries([...told.images].map(([server, of]) => [server, of === 'Unknown' ? of : [...of]]))).toEqual(
    images,
  );
});

test.each<{ what: string; more: object; told: object }>([
  {
    what: 'no percent',
    more: { state: 'Copying', progressPercent: Number.NaN },
    told: { state: 'Copying', progressPercent: 0 },
  },
  {
    what: 'all percents',
    more: { state: 'Copying', progressPercent: 1e9 },
    told: { state: 'Copying', progressPercent: 100 },
  },
  {
    what: 'for ever',
    more: { state: 'Copying', secondsLeft: 1e300 },
    told: { state: 'Copying', progressPercent: 0, secondsLeft: 2_147_483_647 },
  },
  { what: 'NUL and half a character', more: { message: 'a\0b\ud800' }, told: { message: 'ab\ufffd' } },
  { what: 'no message', more: { message: undefined }, told: {} },
  { what: 'no digest', more: { manifest: 'x' }, told: {} },
  { what: 'another age', more: { verifiedAt: 1e15 }, told: {} },
  {
    what: 'files that are none',
    more: { state: 'Conflict', manifest: A, files: [fileOf('lab.1.vhdx'), { ...fileOf('lab\0'), sha256: A }] },
    told: { state: 'Conflict', manifest: A },
  },
])('a server that says $what is recorded all the same', ({ more, told }) => {
  const copies = [{ server: 'a', state: 'UpToDate' as const, message: '', silentMs: 0, ...more }];
  const found = copiesFound(aVDisk(), { holders: [] }, [{ number: 1, copies }]);
  expect(found.copies).toEqual([{ server: 'a', version: 1, state: 'UpToDate', message: '', ...told }]);
});
