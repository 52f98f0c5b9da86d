import { expect, test } from '@jest/globals';
import { aServer, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import type { Moving, Store, VDisk } from './model.ts';
import { carried, isLeft, storesOf, writerOf } from './moving.ts';

const at = (store: string, moving?: Moving): VDisk => aVDisk({ store, ...(moving ? { moving } : {}) });

test.each<{ what: string; wanted: VDisk; before?: VDisk; is: VDisk }>([
  { what: 'one that is new', wanted: at('a'), is: at('a') },
  { what: 'one that stays', wanted: at('a'), before: at('a'), is: at('a') },
  { what: 'one that begins to move', wanted: at('b'), before: at('a'), is: at('b', { from: ['a'] }) },
  {
    what: 'one that moves on: whatever its resource forgot',
    wanted: at('b'),
    before: at('b', { from: ['a'], arrived: 2, by: 'x' }),
    is: at('b', { from: ['a'], arrived: 2, by: 'x' }),
  },
  {
    what: 'one that goes elsewhere before it arrived: it may lie in both',
    wanted: at('c'),
    before: at('b', { from: ['a'], arrived: 1 }),
    is: at('c', { from: ['a', 'b'] }),
  },
  { what: 'one that goes back', wanted: at('a'), before: at('b', { from: ['a'] }), is: at('a', { from: ['b'] }) },
  {
    what: 'one that arrived, whatever its resource still says',
    wanted: at('b', { from: ['a'] }),
    before: at('b'),
    is: at('b'),
  },
  {
    what: 'one that a new database knows nothing of, by what was told last',
    wanted: at('b', { from: ['a'] }),
    is: at('b', { from: ['a'] }),
  },
])('$what', ({ wanted, before, is }) => {
  expect(carried(wanted, before)).toEqual(is);
  expect(carried(wanted, is)).toEqual(is);
});

test('its files may lie where it is to be, and where it was', () => {
  expect(storesOf(at('c', { from: ['a', 'b'] }))).toEqual(['c', 'a', 'b']);
});

const store = (name: string, servers: string[]): Store => ({ ...(aSnapshot().stores[0] as Store), name, servers });

test.each<[string, VDisk, boolean]>([
  ['it still comes', at('b', { from: ['a'] }), false],
  ['it arrived, and this server offers the new store not', at('b', { from: ['a'], arrived: 1 }), true],
  ['it arrived in a store that this server offers', at('a', { from: ['b'], arrived: 1 }), false],
  [
    'it arrived, and this server was not chosen there',
    { ...at('a', { from: ['b'], arrived: 1 }), copies: { wanted: 1, servers: ['node-b'] } },
    true,
  ],
  ['it does not move', at('b'), false],
])('a copy is left behind: %s: %j', (_, vdisk, is) => {
  expect(isLeft(vdisk, aServer(), [store('a', ['node-a']), store('b', ['node-b'])])).toBe(is);
});

const server = (name: string, isAble = true, silentSeconds = 0) => ({ name, isAble, silentSeconds });

test.each<[string, string | undefined, Parameters<typeof writerOf>[1], string | undefined]>([
  ['the first that can', undefined, [server('c'), server('b'), server('a', false)], 'b'],
  ['who did', 'c', [server('a'), server('c')], 'c'],
  ['who did, while it starts anew', 'c', [server('a'), server('c', false, 30)], 'c'],
  ['another, where who did is away', 'c', [server('a'), server('c', false, 61)], 'a'],
  ['who did, where nobody can', 'c', [server('a', false), server('c', false, 600)], 'c'],
  ['nobody, where nobody can', undefined, [server('a', false)], undefined],
])('into a shared store writes %s', (_, by, servers, is) => {
  expect(writerOf(by === undefined ? {} : { by }, servers)).toBe(is);
});
