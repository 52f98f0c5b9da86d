/** What a server says of itself: its status to the operator, and what it still lacks to the kubelet. */
import type { ServerConfig } from '../control/config.ts';
import type { PeerLoad } from '../control/peer.ts';
import type { ServerFault, ServerStatus } from '../control/status.ts';
import type { DatabaseState } from '../database/connection.ts';
import { bootstrapHash, bootstrapOf } from '../farm/bootstrap.ts';
import type { FarmDataFault } from '../farm/data.ts';
import type { Identity } from '../farm/identity.ts';
import type { FarmSnapshot } from '../farm/model.ts';
import type { Fault } from '../kit/result.ts';
import { RELEASE } from '../telemetry/process.ts';
import { bootFileNames } from './bootfiles.ts';
import type { NodeAddress } from './config.ts';
import type { Listeners } from './listeners.ts';

export interface StatusFacts {
  readonly config: ServerConfig;
  readonly node: NodeAddress;
  /** Random at each start, hex. */
  readonly instance: string;
  readonly load: PeerLoad;
  readonly uses: NonNullable<ServerStatus['uses']>;
  readonly streaming: boolean;
  readonly snapshot: FarmSnapshot | undefined;
  /** Why the farm's data is not read; of interest only until it was read once. */
  readonly dataFault: FarmDataFault | undefined;
  readonly database: DatabaseState;
  /** The farm that this server's own replica holds. */
  readonly held: Identity | undefined;
  readonly listenerFaults: readonly Fault[];
  readonly journalEntries: number;
  /** Other faults that the server serves on with. */
  readonly advisories: readonly ServerFault[];
  /** Ids of the farm's keys. */
  readonly keys: readonly number[];
  readonly stores: ServerStatus['stores'];
  readonly copies: ServerStatus['copies'];
  readonly work: NonNullable<ServerStatus['work']>;
}

export function serverStatus(facts: StatusFacts): ServerStatus {
  const { config, node, instance, load, streaming, snapshot, held, journalEntries, keys, stores, copies, work } = facts;
  const bootstrap = snapshot && bootstrapOf(snapshot, config.site);
  const own = [httpPortFault(snapshot, config), identityFault(facts.database)].filter((fault) => fault !== undefined);
  return {
    name: config.name,
    instance,
    release: RELEASE,
    site: config.site,
    pool: config.pool,
    address: node.address,
    state: load.draining ? 'Draining' : streaming ? 'Streaming' : 'Starting',
    ...(bootstrap ? { bootstrapHash: bootstrapHash(bootstrap) } : {}),
    devices: load.devices,
    booting: load.booting,
    uses: facts.uses,
    powerRating: load.powerRating,
    loadPercent: load.loadPercent,
    journalEntries,
    keys,
    ...(held ? { farm: { farm: held.farm, adoptions: held.adoptions, revision: held.revision } } : {}),
    faults: [...servingFaults(facts), ...own, ...facts.advisories],
    stores,
    copies,
    work,
  };
}

/** The server serves on from its replica. That a database is away is the operator's to say; that one is not the farm's, each server sees. */
function identityFault(database: DatabaseState): ServerFault | undefined {
  if (database.reachable) return undefined;
  const { code, message } = database.fault;
  return code === 'DatabaseForeign' || code === 'DatabaseBehind' ? { code, message, advisory: true } : undefined;
}

/** Those that keep devices from being served. */
function servingFaults({
  listenerFaults,
  snapshot,
  dataFault,
}: Pick<StatusFacts, 'listenerFaults' | 'snapshot' | 'dataFault'>): readonly ServerFault[] {
  return snapshot || !dataFault ? listenerFaults : [...listenerFaults, dataFault];
}

/** Ports are bound at the start. The server serves on, by its own address; who was given the Farm's port by hand does not find it. */
export function httpPortFault(
  snapshot: FarmSnapshot | undefined,
  { site, ports }: Pick<ServerConfig, 'site' | 'ports'>,
): ServerFault | undefined {
  const http = snapshot && bootstrapOf(snapshot, site)?.boot.http;
  if (!http?.enabled || http.port === ports.http) return undefined;
  return {
    code: 'HttpPortDiffers',
    advisory: true,
    message: `boot.http.port is ${http.port}, and this server was started with ${ports.http}: it changes when the server is rolled out (spec.rollout of the StreamingServer)`,
  };
}

/** How many of them the fault names. */
const NAMED = 3;

/** Entries of the farm's data that this server cannot read: the rest is served. */
export function leftOutFault(snapshot: FarmSnapshot | undefined): Fault | undefined {
  const leftOut = snapshot?.leftOut ?? [];
  if (leftOut.length === 0) return undefined;
  const named = leftOut.slice(0, NAMED).join('; ');
  const more = leftOut.length > NAMED ? `; and ${leftOut.length - NAMED} more` : '';
  return { code: 'EntryInvalid', message: `left out of the farm's data, mend or delete the rows: ${named}${more}` };
}

/** A server is ready when its data is loaded and each protocol answers a real request from itself. vDisks are judged one by one, elsewhere. */
export async function missing(facts: StatusFacts, listeners: Listeners): Promise<readonly string[]> {
  const { load, snapshot, dataFault } = facts;
  if (load.draining) return ['draining'];
  if (!snapshot) return [dataFault?.message ?? 'the farm data is not loaded yet'];
  const { stream, dhcp, tftp } = listeners;
  const [bootFileName = ''] = bootFileNames();
  const tests = await Promise.all([
    stream.value?.selfTest(),
    dhcp.value?.selfTest(),
    tftp.value?.selfTest(bootFileName),
  ]);
  return [...servingFaults(facts), ...tests.flatMap((test) => (test && !test.ok ? [test.error] : []))].map(
    ({ message }) => message,
  );
}
