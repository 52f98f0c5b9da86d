/**
 * The port through which a streaming server reads the farm's data. Implemented over a server's own Redis follower (`replica`), over
 * PostgreSQL (`database`) and in memory (`test/fakes`), all under one contract suite (`test/contract/farmdata.ts`).
 */
import type { Fault, Result } from '../kit/result.ts';
import type { Device, FarmSnapshot, Session } from './model.ts';
import type { KnownDevice } from './refusal.ts';

/**
 * - `NotLoaded`: the source answers and holds no whole farm: a follower that loads or was never filled, a database that the operator has
 *   not filled yet. Another source may help; time will.
 * - `SchemaUnknown`: written by a release whose layout this one cannot read.
 * - `EntryInvalid`: what was asked for is stored and not as the farm model says; the message names it. It is not absent.
 * - `Unreachable`, `AuthenticationFailed`, `TimedOut`, `Refused`: the source itself.
 * - `DatabaseForeign`, `DatabaseBehind`: the database is another farm's, or an old state of this one's (`identity.ts`).
 */
export type FarmDataFault = Fault<
  | 'NotLoaded'
  | 'SchemaUnknown'
  | 'EntryInvalid'
  | 'Unreachable'
  | 'AuthenticationFailed'
  | 'TimedOut'
  | 'Refused'
  | 'DatabaseForeign'
  | 'DatabaseBehind'
>;

export type FarmAnswer<T> = Promise<Result<T, FarmDataFault>>;

/** No call throws or rejects. Absent is a value: `undefined` says that the farm has no such device, a fault that nobody knows. */
export interface FarmData {
  /** All small tables at one moment. A replica reads unchanged data once; PostgreSQL is asked each time. */
  snapshot(): FarmAnswer<FarmSnapshot>;
  /** `aa:bb:cc:dd:ee:ff` as `parseMac` gives it. */
  deviceByMac(mac: string): FarmAnswer<Device | undefined>;
  deviceByName(name: string): FarmAnswer<Device | undefined>;
  /** What is known of each of these names, in one question: devices, and marks of those that were removed. */
  devicesByName(names: readonly string[]): FarmAnswer<ReadonlyMap<string, KnownDevice>>;
  /** SMBIOS UUID, lower case. With `uuidSharedWith` nobody is the device by it. */
  deviceByUuid(uuid: string): FarmAnswer<Device | undefined>;
  deviceCount(): FarmAnswer<number>;
  sessionOf(device: string): FarmAnswer<Session | undefined>;
  /**
   * Calls back when the next `snapshot()` may differ from the last, or may have become a fault or stopped being one. Never for
   * devices and sessions, which are asked for one by one. Gives the way to stop.
   */
  onChange(callback: () => void): () => void;
  close(): Promise<void>;
}
