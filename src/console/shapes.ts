/** What the API gives, by the very schemas that it is served by: types alone, no line of them is in the page. */
import type { Static } from 'typebox';
import type {
  AuditShape,
  CopyShape,
  DeviceNew,
  DevicePatch,
  DeviceShape,
  ExplanationShape,
  FarmShape,
  Imported,
  PoolShape,
  ProblemShape,
  ResourceShape,
  ServerShape,
  SessionShape,
  StoreShape,
  UnknownNew,
  UnknownPage,
  VDiskShape,
} from '../api/schema.ts';
import type { Farm as FarmResource, VDisk as VDiskResource } from '../resources/kinds.ts';

type Status = FarmResource['status'];
/** `Unknown` in the document is a part of the status, whose type is known here. */
export type Farm = Omit<Static<typeof FarmShape>, 'servers' | 'devices' | 'database' | 'replica'> & {
  readonly [Part in 'servers' | 'devices' | 'database' | 'replica']?: NonNullable<Status[Part]>;
};
export type Server = Static<typeof ServerShape>;
export type VDisk = Omit<Static<typeof VDiskShape>, 'work' | 'override'> & {
  readonly work: NonNullable<VDiskResource['status']['work']>;
  readonly override?: NonNullable<VDiskResource['status']['override']>;
};
export type Version = VDisk['versions'][number];
export type Copy = Static<typeof CopyShape>;
export type Store = Static<typeof StoreShape>;
export type Session = Static<typeof SessionShape>;
export type Device = Static<typeof DeviceShape>;
export type { DeviceNew, DevicePatch };
export type AuditEntry = Static<typeof AuditShape>;
export type ImportResult = Static<typeof Imported>;
export type ProblemBody = Static<typeof ProblemShape>;
export type Complaint = NonNullable<ProblemBody['complaints']>[number];
export type Condition = Farm['conditions'][number];
export type Pool = Static<typeof PoolShape>;
export type Resource = Static<typeof ResourceShape>;
export type Explanation = Static<typeof ExplanationShape>;
export type Unknown = Static<typeof UnknownPage>;
export type UnknownMachine = Unknown['items'][number];
export type NewOfUnknown = Static<typeof UnknownNew>;
export interface Stale {
  readonly since: string;
  readonly reason: string;
}
export interface Page<T> {
  readonly items: readonly T[];
  readonly continue?: string;
  readonly stale?: Stale;
}
/** Of an event `changes`. Without a value: it is gone. */
export interface Change {
  readonly kind: 'farms' | 'servers' | 'vdisks' | 'stores' | 'devices' | 'sessions' | 'database';
  readonly name: string;
  readonly value?: unknown;
}
/** Whether the farm database answers. */
export interface Reachable {
  readonly reachable: boolean;
  readonly since: string;
  readonly reason?: string;
}
