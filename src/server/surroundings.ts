/** Metrics of what a server stands among: peers, replica, database, stores, the keeper of jobs, its certificates, and the faults that its status names. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Gauge, type Registry } from 'prom-client';
import type { ServerFault, StoreReport } from '../control/status.ts';

export interface Surroundings {
  /** As the status names them. */
  readonly faults: () => readonly ServerFault[];
  readonly peers: () => { readonly registered: number; readonly alive: number };
  /** When a leading operator last confirmed the replica, Unix milliseconds; undefined: the replica does not say. */
  readonly replicaCheckedAt: () => Promise<number | undefined>;
  /** Unix milliseconds; undefined: the farm database answers. */
  readonly databaseAwaySince: () => number | undefined;
  readonly stores: () => readonly Pick<StoreReport, 'name' | 'state' | 'freeBytes' | 'totalBytes'>[];
  /** Whether the container `work` runs. */
  readonly keeps: () => Promise<boolean>;
  /** Holds `tls.crt` and `ca.crt`; by what the container `work` asks others is made anew with the first. */
  readonly tlsDirectory: string;
}

/** Codes of faults that are told apart; all else is `Other`. */
const FAULT_CODES = [
  'AddressNotAvailable',
  'AutoAddFull',
  'AutoAddTooFast',
  'AutoAddUnset',
  'BadCopy',
  'BufferTooSmall',
  'CertificateInvalid',
  'ClockSkew',
  'Crashed',
  'DatabaseBehind',
  'DatabaseForeign',
  'EntryInvalid',
  'HttpPortDiffers',
  'JournalFull',
  'JournalUnusable',
  'ListenFailed',
  'LoginServerUnusable',
  'NoPermission',
  'NotLoaded',
  'PortTaken',
  'Other',
] as const;
/** By the file that it is in. */
const CERTIFICATES = { server: 'tls.crt', ca: 'ca.crt' } as const;
export const STORE_STATES = [
  'Accessible',
  'ReadOnly',
  'Missing',
  'Unreachable',
] as const satisfies readonly StoreReport['state'][];

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

export function surroundingsMetrics(registry: Registry, around: Surroundings, clock = Date.now): void {
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    samples: () => readonly Sample[] | Promise<readonly Sample[]>,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const all = await samples();
        this.reset();
        // Without labels it would be 0.
        if (labelNames.length === 0 && all.length === 0) this.remove();
        for (const [labels, value] of all) this.set(labels, value);
      },
    });
  const secondsSince = (ms: number | undefined): readonly Sample[] =>
    ms === undefined ? [] : [[{}, Math.max(0, clock() - ms) / 1_000]];

  gauge('bootfarm_server_faults', 'Faults that the status of this server names, by code', ['code'], () => {
    const counts = new Map<string, number>(FAULT_CODES.map((code) => [code, 0]));
    for (const { code } of around.faults()) {
      const told = counts.has(code) ? code : 'Other';
      counts.set(told, (counts.get(told) ?? 0) + 1);
    }
    return [...counts].map(([code, value]) => [{ code }, value]);
  });
  gauge(
    'bootfarm_server_peers',
    'Other servers of the site: those of the farm’s data, and those that answer',
    ['state'],
    () => Object.entries(around.peers()).map(([state, value]) => [{ state }, value]),
  );
  gauge(
    'bootfarm_server_replica_age_seconds',
    'Since a leading operator last confirmed that the replica is what the database holds; absent while the replica does not say',
    [],
    async () => secondsSince(await around.replicaCheckedAt()),
  );
  gauge('bootfarm_server_database_away_seconds', 'Since the farm database does not answer; 0 while it does', [], () => {
    const since = around.databaseAwaySince();
    return since === undefined ? [[{}, 0]] : secondsSince(since);
  });
  gauge('bootfarm_store_state', '1 of the state that a store is in on this server', ['store', 'state'], () =>
    around
      .stores()
      .flatMap(({ name, state }) =>
        STORE_STATES.map((each): Sample => [{ store: name, state: each }, Number(each === state)]),
      ),
  );
  const sized = () => around.stores().filter(({ totalBytes }) => totalBytes > 0);
  gauge('bootfarm_store_free_bytes', 'Free space of the file system of a store', ['store'], () =>
    sized().map(({ name, freeBytes }) => [{ store: name }, freeBytes]),
  );
  gauge('bootfarm_store_size_bytes', 'Size of the file system of a store', ['store'], () =>
    sized().map(({ name, totalBytes }) => [{ store: name }, totalBytes]),
  );
  gauge('bootfarm_work_keeper_running', '1 while the container work keeps the jobs of this server', [], async () => [
    [{}, Number(await around.keeps())],
  ]);
  gauge(
    'bootfarm_certificate_expiry_timestamp_seconds',
    'When a certificate of this server ends, Unix time; 0: it cannot be read',
    ['certificate'],
    () =>
      Promise.all(
        Object.entries(CERTIFICATES).map(
          async ([certificate, file]): Promise<Sample> => [
            { certificate },
            await endsAt(join(around.tlsDirectory, file)),
          ],
        ),
      ),
  );
}

/** Of the first certificate of the file. */
async function endsAt(path: string): Promise<number> {
  try {
    return Math.floor(Date.parse(new X509Certificate(await readFile(path)).validTo) / 1_000);
  } catch {
    return 0;
  }
}
