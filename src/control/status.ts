/** What a server tells the operator: `GET /v1/status` on the control port, JSON, over mutual TLS. */
import type { Identity } from '../farm/identity.ts';
import type { CopyFacts } from '../store/report.ts';
import type { Job, Order } from '../work/job.ts';

export type ServerState = 'Starting' | 'Streaming' | 'Draining';

/** Something on this server that a person must know of: a port that is taken, a replica that is not loaded. */
export interface ServerFault {
  /** Stable, CamelCase. */
  readonly code: string;
  /** Names the thing, the value and the way out. */
  readonly message: string;
  /** To be known only: the server serves on. */
  readonly advisory?: true;
}

export interface StoreReport {
  readonly name: string;
  readonly path: string;
  readonly state: 'Accessible' | 'ReadOnly' | 'Missing' | 'Unreachable';
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Nobody has made the folder yet. */
  readonly isAbsent?: true;
  /** Image files found. */
  readonly files: number;
  /** Room that files need which it lacks and is to have: at most. Absent: none, or it is of an earlier release. */
  readonly needBytes?: number;
  /** Names of those that no version of the farm needs, bounded; absent: it is of an earlier release. */
  readonly unmanaged?: readonly string[];
  /** Servers that say the same here see one folder, and what they have of it is one copy. Absent: it is not known. */
  readonly volume?: string;
  /** Another farm writes there, or nobody knows which: this server does not. */
  readonly foreign?: true;
  readonly message: string;
}

/** The files of one version on this server's store, as they are: whether they are right is the operator's verdict. */
export type CopyReport = CopyFacts;

/** A job on files of this server's stores. */
export interface WorkReport extends Pick<Job, 'id' | 'folder' | 'fileName' | 'version' | 'state'> {
  readonly kind: Order['kind'];
  /** Absent: it did not say yet how much there is to do. */
  readonly progressPercent?: number;
  /** Why it failed, what it waits for, or what it made. */
  readonly message: string;
}

export interface ServerStatus {
  readonly name: string;
  /** Random at each start of the process: tells a restart. */
  readonly instance: string;
  readonly release: string;
  readonly site: string;
  readonly pool: string;
  readonly address: string;
  readonly state: ServerState;
  /** SHA-256 of what every device of the site is told before it streams; absent until the replica is loaded. */
  readonly bootstrapHash?: string;
  /** The farm that its own replica holds; absent: none, or a release that does not say. */
  readonly farm?: Identity;
  readonly devices: number;
  readonly booting: number;
  /** Of its devices, how many stream which vDisk; absent: it is of an earlier release. */
  readonly uses?: readonly { readonly vdisk: string; readonly devices: number }[];
  readonly powerRating: number;
  readonly loadPercent: number;
  readonly journalEntries: number;
  /** Numbers of the farm's keys that it has; absent: it is of an earlier release. */
  readonly keys?: readonly number[];
  readonly faults: readonly ServerFault[];
  readonly stores: readonly StoreReport[];
  readonly copies: readonly CopyReport[];
  /** Those that go on, and those that ended less than ten minutes ago (where the operator ordered them and they failed: until it may again); absent: it is of an earlier release. */
  readonly work?: readonly WorkReport[];
}

/** Only what a reader relies on: N-1 may lack the rest. */
export function isServerStatus(value: unknown): value is ServerStatus {
  if (typeof value !== 'object' || value === null) return false;
  const status = value as Record<string, unknown>;
  return (
    ['name', 'instance', 'site', 'pool', 'address', 'state'].every((key) => typeof status[key] === 'string') &&
    ['devices', 'booting', 'powerRating', 'loadPercent'].every((key) => typeof status[key] === 'number') &&
    ['faults', 'stores', 'copies'].every((key) => isListOfObjects(status[key])) &&
    (status['work'] === undefined || isListOfObjects(status['work']))
  );
}

const isListOfObjects = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null);
