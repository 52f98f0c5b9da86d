/** A farm with something of everything that the console shows, as big as it is asked to be: rows of its database, and resources as the operator would have left them. */

import type { Database } from '../../src/database/connection.ts';
import { recordCopies } from '../../src/database/copies.ts';
import type { CopyState, Device, FarmSnapshot, Session, Version } from '../../src/farm/model.ts';
import type { Condition } from '../../src/resources/conditions.ts';
import type { Farm, Store, StreamingServer, VDisk } from '../../src/resources/kinds.ts';
import { COPY_STATES } from '../../src/resources/vdisk.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { aFarm as farmRows } from '../builders/rows.ts';
import type { FarmContents } from './farmdata.ts';

export interface FarmSize {
  readonly devices: number;
  /** Of these every fourth is off, and every fiftieth disabled. */
  readonly servers: number;
  readonly vdisks: number;
  readonly versions: number;
  readonly nowMs: number;
}

export interface ConsoleFarm {
  readonly contents: FarmContents;
  /** By vDisk. */
  readonly copies: ReadonlyMap<string, Parameters<typeof recordCopies>[2]['put']>;
  readonly resources: (farmID: string) => {
    readonly farm: Farm;
    readonly stores: readonly Store[];
    readonly vdisks: readonly VDisk[];
    readonly pools: readonly StreamingServer[];
  };
}

const COLLECTIONS = ['room-101', 'room-102', 'library', 'workshop'];
const letters = 'abcdefghijklmnopqrstuvwxyz';
const serverName = (index: number): string =>
  index < letters.length
    ? `node-${letters[index]}`
    : `node-${letters[Math.floor(index / 26) - 1]}${letters[index % 26]}`;
const vdiskName = (index: number): string =>
  ['lab', 'office', 'cad', 'exam', 'kiosk'][index] ?? `image-${String(index).padStart(3, '0')}`;
const hex = (value: number): string => value.toString(16).padStart(2, '0');

export function aConsoleFarm(size: FarmSize): ConsoleFarm {
  const servers = Array.from({ length: size.servers }, (_, index) => serverName(index));
  const vdisks = Array.from({ length: size.vdisks }, (_, index) => vdiskName(index));
  const devices = devicesOf(size);
  const sessions = sessionsOf(size, devices, servers, vdisks);
  const copies = new Map(vdisks.map((vdisk, index) => [vdisk, copiesOf(index, size, servers)]));
  const contents = { snapshot: rowsOf(size, servers, vdisks), devices, sessions };
  return { contents, copies, resources: (farmID) => resourcesOf(size, farmID, servers, vdisks, sessions) };
}

export async function loadCopies(database: Database, { copies }: ConsoleFarm): Promise<void> {
  for (const [vdisk, put] of copies) {
    const done = await recordCopies(database, vdisk, { put, gone: [] });
    if (!done.ok) throw new Error(done.error.message);
  }
}

const devicesOf = ({ devices }: FarmSize): readonly Device[] =>
  Array.from({ length: devices }, (_, index) => ({
    name: `pc${String(index + 1).padStart(5, '0')}`,
    macs: [`52:54:00:${hex(index >> 16)}:${hex((index >> 8) & 255)}:${hex(index & 255)}`],
    collection: COLLECTIONS[index % COLLECTIONS.length] ?? '',
    enabled: index % 50 !== 49,
    properties: index % 10 === 0 ? { seat: `A${index}` } : {},
  }));

const sessionsOf = (
  { nowMs, versions }: FarmSize,
  devices: readonly Device[],
  servers: readonly string[],
  vdisks: readonly string[],
): readonly Session[] =>
  devices
    .filter(({ enabled }, index) => enabled && index % 4 !== 3)
    .map(({ name }, index) => ({
      device: name,
      server: servers[(index * 7) % servers.length] ?? '',
      vdisk: vdisks[index % Math.min(5, vdisks.length)] ?? '',
      version: Math.max(0, versions - 2),
      since: nowMs - (index % 97 === 5 ? 20_000 : 3_600_000 + index * 1_000),
      epoch: nowMs,
      protocol: 'stream',
    }));

function rowsOf({ versions }: FarmSize, servers: readonly string[], vdisks: readonly string[]): FarmSnapshot {
  const base = farmRows();
  const [store, vdisk, server] = [base.stores[0], base.vdisks[0], base.servers[0]];
  if (!store || !vdisk || !server) throw new Error('the builder has no row of each');
  return {
    ...base,
    collections: COLLECTIONS.map((name, index) => ({
      ...{ name, site: 'default', vdisk: vdisks[index % vdisks.length] ?? '' },
      ...{ class: 'Production', template: {} },
    })),
    stores: [store],
    vdisks: vdisks.map((name) => ({ ...vdisk, name, fileName: name })),
    versions: vdisks.flatMap((name) =>
      Array.from({ length: versions }, (_, number): Version => ({ vdisk: name, number, access: 'Production' })),
    ),
    overrides: [],
    servers: servers.map((name, index) => ({ ...server, name, address: `10.77.0.${index + 11}` })),
  };
}

/** All right, but of the first vDisk, where each state is somewhere. */
function copiesOf(index: number, { versions }: FarmSize, servers: readonly string[]) {
  return servers.flatMap((server, at) =>
    Array.from({ length: versions }, (_, version) => {
      const turn = at * versions + version;
      const state: CopyState = index === 0 ? (COPY_STATES[turn % COPY_STATES.length] ?? 'UpToDate') : 'UpToDate';
      return {
        ...{ server, version, state, message: state === 'OutOfDate' ? 'lab.1.avhdx is another one' : '' },
        ...(state === 'Copying' ? { progressPercent: 40, secondsLeft: 75 } : {}),
        ...(state === 'UpToDate' ? { manifest: 'a'.repeat(64) } : {}),
      };
    }),
  );
}

const condition = (
  nowMs: number,
  type: string,
  status: 'True' | 'False',
  reason: string,
  message: string,
): Condition => ({
  ...{ type, status, reason, message },
  lastTransitionTime: new Date(nowMs - 1_500_000).toISOString().replace(/\.\d+Z/, 'Z'),
});

function resourcesOf(
  { nowMs, versions, devices }: FarmSize,
  farmID: string,
  servers: readonly string[],
  vdisks: readonly string[],
  sessions: readonly Session[],
) {
  const said = condition.bind(undefined, nowMs);
  const time = (ago: number): string => new Date(nowMs - ago).toISOString();
  const streamed = Map.groupBy(sessions, ({ server }) => server);
  const booted = Map.groupBy(sessions, ({ vdisk }) => vdisk);
  const farm = aFarm({
    metadata: { namespace: 'lab', resourceVersion: '100' },
    spec: { collections: COLLECTIONS.map((name, index) => ({ name, vdisk: vdisks[index % vdisks.length] ?? '' })) },
    status: {
      observedGeneration: 1,
      conditions: [
        said('Ready', 'True', 'Settled', 'devices can be served'),
        said('DatabaseReachable', 'True', 'DatabaseAnswers', 'the farm database answers'),
        said('ReplicaInSync', 'True', 'ReplicaCurrent', 'the replica holds what the database holds'),
      ],
      database: { farmID, state: 'Reachable', kind: 'Embedded' },
      replica: {
        state: 'InSync',
        lastChange: time(7_200_000),
        followers: { ready: servers.length - 1, total: servers.length },
      },
      servers: { ready: servers.length - 2, total: servers.length },
      devices: { known: devices, streaming: sessions.length, booting: Math.floor(sessions.length / 97) },
    },
  });
  const pool = aStreamingServer({
    metadata: { resourceVersion: '100' },
    spec: { replicas: servers.length },
    status: {
      observedGeneration: 1,
      conditions: [
        said('Ready', 'True', 'Settled', 'servers stream'),
        said('FailoverCapacity', 'True', 'CapacitySuffices', 'any one may be lost'),
      ],
      servers: servers.map((name, index) => {
        const state = index === 1 ? 'Draining' : index === 2 ? 'Unreachable' : 'Streaming';
        const count = streamed.get(name)?.length ?? 0;
        return {
          ...{
            name,
            state,
            addresses: [`10.77.0.${index + 11}`],
            devices: count,
            booting: index % 3,
            powerRating: index % 5 === 4 ? 2 : 1,
          },
          ...{ loadPercent: Math.min(100, Math.round(count / 4)), bootstrapHash: 'c'.repeat(64) },
          ...(state === 'Unreachable' ? { message: 'its control port has not answered for 42 s' } : {}),
        };
      }),
    },
  });
  const store = aStore({
    metadata: { name: 'local', resourceVersion: '100' },
    status: {
      observedGeneration: 1,
      conditions: [
        said('Ready', 'True', 'Settled', 'servers reach it'),
        said('Accessible', 'False', 'SomeServersLackAccess', `${servers[2]}: it does not answer; the others reach it`),
      ],
      accessible: `${servers.length - 1}/${servers.length}`,
      servers: servers.map((name, index) => ({
        ...{
          name,
          state: index === 2 ? ('Unreachable' as const) : ('Accessible' as const),
          files: vdisks.length * versions,
        },
        ...{ freeBytes: 412_000_000_000 - index * 3_000_000_000, totalBytes: 960_000_000_000 },
        ...(index === 2 ? { message: 'the server does not answer' } : {}),
      })),
    },
  });
  const disks = vdisks.map((name, index) =>
    aVDisk({
      metadata: { name, resourceVersion: '100' },
      spec: { storeRef: { name: 'local' }, fileName: name },
      status: {
        observedGeneration: 1,
        conditions: [
          said('Ready', 'True', 'Settled', 'devices boot it'),
          index === 0
            ? said(
                'Replicated',
                'False',
                'CopiesConflict',
                'servers hold different files of version 1, and nothing says which is right',
              )
            : said('Replicated', 'True', 'CopiesCurrent', 'every copy is right'),
        ],
        bootVersion: Math.max(0, versions - 2),
        sizeBytes: 42_000_000_000,
        devices: booted.get(name)?.length ?? 0,
        upToDate: index === 0 ? `1/${servers.length}` : `${servers.length}/${servers.length}`,
        versions: Array.from({ length: versions }, (_, number) => ({
          ...{
            number,
            type: number === 0 ? ('Base' as const) : ('Differencing' as const),
            access: 'Production' as const,
          },
          state:
            number === versions - 2
              ? ('Default' as const)
              : number === versions - 1
                ? ('Pending' as const)
                : ('Production' as const),
          ...(number === versions - 1
            ? { message: 'waits for 2 servers that have no right copy' }
            : { settledAt: time(86_400_000 * (versions - number)) }),
          ...{
            sizeBytes: 1_200_000_000 * (number + 1),
            sha256: 'a'.repeat(64),
            upToDate: servers.length,
            copies: servers.length,
          },
        })),
        ...(index === 0
          ? {
              work: [
                {
                  server: servers[0] ?? '',
                  id: 'j42',
                  kind: 'merge' as const,
                  version: versions,
                  state: 'Running' as const,
                  progressPercent: 35,
                },
              ],
            }
          : {}),
      },
    }),
  );
  return { farm, stores: [store], vdisks: disks, pools: [pool] };
}
