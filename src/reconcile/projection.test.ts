import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../../test/builders/resources.ts';
import { readSources } from '../../test/check/arrows.ts';
import { wordsOf } from '../../test/check/tidy.ts';
import { Collection, Farm, Site, Store, VDisk, Version } from '../farm/model.ts';
import { projectionOf } from './projection.ts';

/** Resources that say everything which may be left out. */
const resources = {
  farm: aFarm({ spec: { autoAdd: { collection: 'room-101', namePrefix: 'pc' } } }),
  stores: [
    aStore({ spec: { site: 'default', replication: { verifyEvery: '12h' } } }),
    aStore({ metadata: { name: 'nas' }, spec: { nfs: { server: 'nas', path: '/vdisks' } } }),
  ],
  vdisks: [
    aVDisk({
      spec: {
        copies: 2,
        bootVersion: 0,
        versions: [{ number: 0, access: 'Production', sha256: 'a'.repeat(64), releaseAt: '2026-11-28T00:00:00Z' }],
        os: { linux: { commandLine: 'quiet' } },
      },
    }),
  ],
  pools: [aStreamingServer()],
};
const { farm, sites, collections, stores, vdisks, versions } = projectionOf(resources);

/** Of each row: the schema that servers read it by, and what the database adds. */
const rows: readonly [string, object | undefined, { readonly properties: object }, ...string[]][] = [
  ['Farm', farm, Farm, 'id'],
  ['Site', sites[0], Site],
  ['boot of a Site', sites[0]?.boot, Site.properties.boot],
  ['Collection', collections[0], Collection],
  ['Store', { ...stores[0], ...stores[1] }, Store],
  ['VDisk', vdisks[0], VDisk, 'moving'],
  ['Version', versions[0], Version, 'content', 'settledAt'],
];

test.each(rows)('every field of a %s is projected', (_, row, { properties }, ...ofTheDatabase) => {
  expect([...Object.keys(row ?? {}), ...ofTheDatabase].toSorted()).toEqual(Object.keys(properties).toSorted());
});

/** Of servers and their rules. */
const FOLDERS = ['farm', 'server', 'httpboot', 'dhcp', 'tftp', 'stream', 'export', 'control'];
const words = wordsOf(
  readSources(join(import.meta.dirname, '..')).filter(
    ({ path }) => FOLDERS.includes(path.split('/')[0] ?? '') && path !== 'farm/model.ts',
  ),
);

/** Refused by name where it says something (unsupported.ts). */
const LATER = ['verbose', 'template'];

test.each(rows)('every field of a %s is read by somebody', (_, _row, { properties }) => {
  expect(Object.keys(properties).filter((name) => !words.has(name) && !LATER.includes(name))).toEqual([]);
});

test('a shared store lies where its mount is, on every server', () => {
  expect(stores[1]).toMatchObject({ shared: true, local: { path: '/run/bootfarm-stores/nas', nodes: {} } });
});

test.each<[string, Parameters<typeof aVDisk>[0], object | undefined]>([
  ['all', {}, undefined],
  ['so many, of which nobody is chosen yet', { spec: { copies: 2 } }, { wanted: 2, servers: [] }],
  [
    'so many, and which',
    {
      spec: { copies: 2 },
      status: { chosen: ['node-c', 'node-a'].map((name) => ({ name, since: '2026-11-30T00:00:00Z' })) },
    },
    { wanted: 2, servers: ['node-a', 'node-c'] },
  ],
  ['so many, of a shared store', { spec: { copies: 2, storeRef: { name: 'nas' } } }, undefined],
])('who keeps copies: %s', (_, parts, copies) => {
  expect(projectionOf({ ...resources, vdisks: [aVDisk(parts)] }).vdisks[0]?.copies).toEqual(copies);
});
