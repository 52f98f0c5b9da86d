import { expect, test } from '@jest/globals';
import { aVDisk } from '../../../test/builders/resources.ts';
import type { CopyState } from '../../farm/model.ts';
import type { CopyHolder, LeftHolder, LeftJudged, VDiskFindings, VersionJudged } from './judge.ts';
import { type Move, moveClaim, moveOf, nextMoving } from './moving.ts';

const RIGHT = 'a'.repeat(64);
type Copies = Readonly<Record<string, CopyState>>;

interface Given {
  /** By server, of each version. */
  readonly here?: readonly Copies[];
  readonly old?: readonly Copies[];
  readonly from?: readonly string[];
  readonly arrived?: number;
  readonly minCopies?: number;
  /** Devices that the servers of the old store stream; undefined: they do not say. */
  readonly streams?: number | undefined;
  readonly isBlind?: boolean;
  readonly lacksBootFiles?: boolean;
  readonly unknown?: boolean;
  readonly silentMs?: number;
  readonly needBytes?: number;
  /** Where servers know it to be. */
  readonly store?: string;
  readonly removesOld?: boolean;
  /** The folder of the old store is one of the new. */
  readonly isSame?: boolean;
}

function move(given: Given): Move | undefined {
  const { here = [], old = [], from = ['old'], store = 'new', isBlind = false, silentMs = 0 } = given;
  const moving = { from, ...(given.arrived === undefined ? {} : { arrived: given.arrived }) };
  const copyOf = ([server, state]: [string, CopyState]) => ({ server, state, message: '', silentMs });
  const versions = Array.from({ length: Math.max(here.length, old.length) }, (_, number): VersionJudged => {
    const { lacksBootFiles } = given;
    const left = Object.entries(old[number] ?? {}).map(
      (entry): LeftJudged => ({
        ...copyOf(entry),
        ...{ of: 'old', isBlind },
        ...(lacksBootFiles ? { lacksBootFiles: '0'.repeat(8) } : {}),
      }),
    );
    return {
      ...{ vdisk: 'lab', number, access: 'Production', diskBytes: 0 },
      ...(given.unknown ? {} : { right: RIGHT }),
      ...{ copies: Object.entries(here[number] ?? {}).map(copyOf), left },
    };
  });
  const holder = (server: string): CopyHolder => ({
    volume: given.isSame ? 'one 1' : `${server} 1`,
    ...{ server, folder: '/srv', reachable: silentMs === 0, silentMs, reports: [], unmanaged: [], work: [] },
  });
  const streams = 'streams' in given ? given.streams : 0;
  const findings: VDiskFindings = {
    holders: Object.keys(here[0] ?? {}).map(holder),
    left: Object.keys(old[0] ?? {}).map(
      (server): LeftHolder => ({ ...holder(server), of: 'old', ...(streams === undefined ? {} : { streams }) }),
    ),
    ...{ place: { store, moving }, recorded: new Map(), overrides: [], devices: 0, nowSeconds: 0 },
    storeServers: Object.keys(here[0] ?? {}).map((name) => ({
      ...{ name, state: 'Accessible', freeBytes: 0, totalBytes: 0 },
      ...(given.needBytes === undefined ? {} : { needBytes: given.needBytes }),
    })),
  };
  const { minCopies } = given;
  const movePolicy = given.removesOld ? 'Delete' : 'Retain';
  const spec: NonNullable<Parameters<typeof aVDisk>[0]>['spec'] = {
    storeRef: { name: 'new' },
    movePolicy,
    ...(minCopies === undefined ? {} : { minCopies }),
  };
  return moveOf(aVDisk({ spec }), findings, versions);
}

const [yes, no, away] = ['UpToDate', 'Missing', 'ServerUnreachable'] as const;

test.each<{ what: string; given: Given; step: Move['step']; reason?: string; says?: string; arrived?: number }>([
  {
    what: 'servers know it where it was',
    given: { store: 'old', from: ['older'], here: [{ b: no }], old: [{ a: yes }] },
    ...{ step: 'Begins', says: 'about to move from store old to store new' },
  },
  {
    what: 'nothing of it is there yet',
    given: { here: [{ b: 'Copying' }], old: [{ a: yes }] },
    ...{ step: 'Comes', reason: 'Copying', says: '0 of 1 versions are there' },
  },
  {
    what: 'one of two versions is there',
    given: { here: [{ b: yes }, { b: 'Copying' }], old: [{ a: yes }, { a: yes }] },
    ...{ step: 'Comes', says: '1 of 2 versions are there' },
  },
  {
    what: 'one of two servers has it, and both should',
    given: { here: [{ b: yes, c: 'Copying' }], old: [{ a: yes }] },
    step: 'Comes',
  },
  {
    what: 'one of two servers has it, and one is enough',
    given: { here: [{ b: yes, c: 'Copying' }], old: [{ a: yes }], minCopies: 1 },
    ...{ step: 'Leaves', arrived: 1 },
  },
  {
    what: 'its image is there, and its properties are where it was',
    given: { here: [{ b: 'PropertiesMissing' }], old: [{ a: yes }] },
    step: 'Comes',
  },
  { what: 'all of it is there', given: { here: [{ b: yes, c: yes }], old: [{ a: yes }] }, step: 'Leaves', arrived: 2 },
  {
    what: 'a version that was nowhere is waited for by nobody',
    given: { here: [{ b: yes }, { b: no }], old: [{ a: yes }, { a: no }] },
    ...{ step: 'Leaves', arrived: 1 },
  },
  {
    what: 'nothing of it is anywhere',
    given: { here: [{ b: no }], old: [{ a: no }], unknown: true },
    step: 'Leaves',
    arrived: 1,
  },
  {
    what: 'what lies where it was is another file, and the right one nowhere',
    given: { here: [{ b: no }], old: [{ a: 'OutOfDate' }] },
    step: 'Leaves',
  },
  {
    what: 'the old store is dead at the beginning',
    given: { here: [{ b: no }], old: [{ a: away }] },
    ...{ step: 'Comes', reason: 'FilesMissing', says: 'Bring that back, or put the files into store new' },
  },
  {
    what: 'the old store dies midway: what came is kept, and the rest waited for',
    given: { here: [{ b: yes }, { b: no }], old: [{ a: away }, { a: away }] },
    ...{ step: 'Comes', reason: 'FilesMissing', says: 'version 1 is right on no server that answers' },
  },
  {
    what: 'the old store dies when all came',
    given: { here: [{ b: yes }], old: [{ a: away }], streams: undefined, silentMs: 0 },
    step: 'Leaves',
  },
  {
    what: 'a server cannot look into the old store: it may lie there',
    given: { here: [{ b: no }], old: [{ a: no }], isBlind: true },
    ...{ step: 'Comes', reason: 'FilesMissing' },
  },
  {
    what: 'no server offers the old store: it may lie there',
    given: { here: [{ b: no }], old: [] },
    ...{ step: 'Comes', reason: 'FilesMissing', says: 'no server offers it' },
  },
  {
    what: 'the old store has a copy that is read still: what is right is not known',
    given: { here: [{ b: no }], old: [{ a: 'Copying' }], unknown: true },
    ...{ step: 'Comes', reason: 'FilesMissing' },
  },
  {
    what: 'the old store has an image without its kernel',
    given: { here: [{ b: no }], old: [{ a: no }], unknown: true, lacksBootFiles: true },
    step: 'Comes',
  },
  {
    what: 'the new store is full',
    given: { here: [{ b: no }], old: [{ a: yes }], needBytes: 2 ** 40 },
    ...{ step: 'Comes', reason: 'NoRoom', says: 'store new: ' },
  },
  {
    what: 'nobody offers the new store',
    given: { here: [{}], old: [{ a: yes }] },
    ...{ step: 'Comes', reason: 'NoServers' },
  },
  {
    what: 'devices read it where it was',
    given: { here: [{ b: yes }], old: [{ a: yes }], arrived: 1, streams: 3 },
    ...{ step: 'Leaves', reason: 'HandingOver', says: '3 devices still read it from server a' },
  },
  {
    what: 'its server does not say who reads it',
    given: { here: [{ b: yes }], old: [{ a: yes }], arrived: 1, streams: undefined },
    step: 'Leaves',
  },
  { what: 'nobody reads it there', given: { here: [{ b: yes }], old: [{ a: yes }], arrived: 1 }, step: 'Over' },
  {
    what: 'its server has both, and devices read the new one',
    given: { here: [{ a: yes }], old: [{ a: yes }], arrived: 1, streams: 3 },
    step: 'Over',
  },
  {
    what: 'its server has both, and devices read the old one: the new is not right there',
    given: { here: [{ a: 'Copying', b: yes }], old: [{ a: yes }], arrived: 1, minCopies: 1, streams: 3 },
    step: 'Leaves',
  },
  {
    what: 'it arrived, and was lost again before it was over: where it was is not forgotten',
    given: { here: [{ b: 'Corrupt' }], old: [{ a: yes }], arrived: 1 },
    ...{ step: 'Comes', arrived: 1 },
  },
  {
    what: 'its files are to go, and lie there still',
    given: { here: [{ b: yes }], old: [{ a: yes }], arrived: 1, removesOld: true },
    ...{ step: 'Remains', reason: 'GivingBack', says: 'its files in store old of server a go' },
  },
  {
    what: 'its files are to go, and some are left',
    given: { here: [{ b: yes }], old: [{ a: no }], arrived: 1, removesOld: true, lacksBootFiles: true },
    step: 'Remains',
  },
  {
    what: 'its files went',
    given: { here: [{ b: yes }], old: [{ a: no }], arrived: 1, removesOld: true },
    step: 'Over',
  },
  {
    what: 'its files are to go, and lie on a server that is away',
    given: { here: [{ b: yes }], old: [{ a: away }], arrived: 1, removesOld: true },
    step: 'Remains',
  },
  {
    what: 'its files are to go, and one of them is another: they are a person’s',
    given: { here: [{ b: yes }, { b: yes }], old: [{ a: yes }, { a: 'OutOfDate' }], arrived: 1, removesOld: true },
    step: 'Over',
  },
  {
    what: 'its files are to go, and both stores are one folder',
    given: { here: [{ b: yes }], old: [{ a: yes }], arrived: 1, removesOld: true, isSame: true },
    step: 'Over',
  },
  {
    what: 'its server is gone for long, with who read from it',
    given: { here: [{ b: yes }], old: [{ a: away }], arrived: 1, streams: undefined, silentMs: 400_000, minCopies: 1 },
    step: 'Over',
  },
])('$what: $step', ({ given, step, reason, says, arrived }) => {
  const found = move(given);
  expect(found).toMatchObject({ step, ...(reason ? { reason } : {}), message: expect.stringContaining(says ?? '') });
  if (arrived !== undefined) expect(found?.arrived).toBe(arrived);
  expect(moveClaim(found)).toMatchObject([{ type: 'Moving', status: 'True', message: found?.message }]);
});

test('what does not move is told of by nothing', () => {
  const findings = { ...{ holders: [], recorded: new Map(), overrides: [], devices: 0, nowSeconds: 0 } };
  expect(moveOf(aVDisk(), findings, [])).toBeUndefined();
  expect(moveClaim(undefined)).toEqual([]);
});

test('servers are told that it arrived, who writes into a shared store, and nothing any more when it is over', () => {
  const found = move({ here: [{ b: yes }], old: [{ a: yes }] }) as Move;
  const holder = { server: 'b', folder: '/', reachable: true, silentMs: 0, reports: [], unmanaged: [], work: [] };
  expect(nextMoving({ from: ['old'] }, found, [holder], false)).toEqual({ from: ['old'], arrived: 1 });
  const coming = move({ here: [{ b: no }], old: [{ a: yes }] }) as Move;
  expect(nextMoving({ from: ['old'] }, coming, [holder], true)).toEqual({ from: ['old'], by: 'b' });
  const over = move({ here: [{ b: yes }], old: [{ a: yes }], arrived: 1 }) as Move;
  expect(nextMoving({ from: ['old'], arrived: 1 }, over, [holder], false)).toBeUndefined();
});
