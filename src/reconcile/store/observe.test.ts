import { expect, test } from '@jest/globals';
import { aFarm, aStore, aVDisk } from '../../../test/builders/resources.ts';
import type { Context } from '../context.ts';
import { movingAway, observe } from './observe.ts';

const report = { name: 'images', path: '/srv/vdisks', state: 'Accessible' };
const server = (name: string, pool: string, stores: readonly object[]) => ({
  ...{ name, pool, site: 'default', reachable: true, message: '' },
  status: { stores },
});
const seen = (name: string, more: object = {}) => ({ name, reachable: true, message: '', ...more });

const whole = {
  farm: true,
  servers: [
    server('a', 'main', [{ ...report, name: 'other' }, report]),
    server('b', 'main', []),
    server('c', 'annex', []),
  ],
};

test.each([
  {
    what: 'all servers, each with its report of it',
    given: whole,
    servers: [seen('a', { report }), seen('b'), seen('c')],
  },
  {
    what: 'servers that have not looked into its new folder yet, and say nothing of it',
    given: { ...whole, spec: { local: { path: '/srv/new' } } },
    servers: [seen('a'), seen('b'), seen('c')],
  },
  {
    what: 'those of its pools alone',
    given: { ...whole, spec: { servers: { pools: ['annex'] } } },
    servers: [seen('c')],
  },
  { what: 'nobody while its Farm does not run', given: { farm: true }, servers: [] },
  { what: 'nobody without its Farm', given: { ...whole, farm: false }, servers: [], reason: 'FarmMissing', devices: 0 },
  {
    what: 'nobody where it is refused',
    given: { ...whole, spec: { writeCache: { path: '/cache' } } },
    ...{ servers: [], reason: 'NotSupported' },
  },
])('a Store is seen by $what', async ({ given, servers, reason, devices = 3 }) => {
  const { farm, servers: running, spec = {} } = { servers: undefined, spec: undefined, ...given };
  const context = {
    informers: { farms: { get: () => (farm ? aFarm() : undefined) }, vdisks: { list: () => [] } },
    runtimes: { get: () => running && { servers: running, uses: async () => undefined, rows: async () => undefined } },
  } as unknown as Context;
  const found = await observe(context, aStore({ spec, status: { devices: 3 } }));
  expect(found).toEqual({
    servers,
    devices,
    moving: [],
    ...(reason ? { fault: expect.objectContaining({ reason }) } : {}),
  });
});

const vdisk = (store: string, movingFrom: string[] = []) =>
  aVDisk({ spec: { storeRef: { name: store } }, status: { observedGeneration: 1, movingFrom } });
const placed = (store: string, ...from: string[]) => ({
  places: new Map([['lab', { store, ...(from.length > 0 ? { moving: { from } } : {}) }]]),
});

test.each<{ what: string; given: Parameters<typeof movingAway>; is: boolean }>([
  { what: 'what stays in it', given: ['old', [vdisk('old')], placed('old')], is: false },
  {
    what: 'what the spec names elsewhere, and servers still know here',
    given: ['old', [vdisk('new')], placed('old')],
    is: true,
  },
  { what: 'what moves, as the database says', given: ['old', [vdisk('new')], placed('new', 'old')], is: true },
  { what: 'what moved through it, too', given: ['between', [vdisk('new')], placed('new', 'old', 'between')], is: true },
  { what: 'what moved', given: ['old', [vdisk('new', ['old'])], placed('new')], is: false },
  {
    what: 'what moves, as was told while the database is away',
    given: ['old', [vdisk('new', ['old'])], undefined],
    is: true,
  },
  { what: 'what moves back', given: ['old', [vdisk('old', ['new'])], placed('old', 'new')], is: false },
  { what: 'the store that it moves to', given: ['new', [vdisk('new')], placed('new', 'old')], is: false },
])('of a store moves away: $what: $is', ({ given, is }) => {
  expect(movingAway(...given)).toEqual(is ? ['lab'] : []);
});
