/** What of the answers of the API is read here. Its own shapes are `api/schema.ts`, which the test compares: a newer API may say more. */
import type { Copy, Device, Session } from '../farm/model.ts';

export interface Stale {
  readonly since: string;
  readonly reason: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly continue?: string;
  readonly stale?: Stale;
}

export interface Problem {
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly complaints?: readonly {
    readonly line?: number;
    readonly field: string;
    readonly value: string;
    readonly reason: string;
  }[];
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime?: string;
}

export interface FarmAnswer {
  readonly namespace: string;
  readonly name: string;
  readonly conditions: readonly Condition[];
  readonly suspend: boolean;
  readonly collections: readonly { readonly name: string; readonly site: string }[];
}

export interface StoreAnswer {
  readonly name: string;
  readonly kind: string;
  readonly site?: string;
  readonly conditions: readonly Condition[];
  readonly accessible?: string;
  readonly servers: readonly { readonly name: string; readonly state: string; readonly message?: string }[];
}

export interface VersionAnswer {
  readonly number: number;
  readonly type?: string;
  readonly access?: string;
  readonly state?: string;
  readonly message?: string;
  readonly sizeBytes?: number;
  readonly sha256?: string;
  readonly upToDate?: number;
  readonly copies?: number;
}

export interface VDiskAnswer {
  readonly name: string;
  readonly store: string;
  readonly fileName: string;
  readonly enabled: boolean;
  readonly conditions: readonly Condition[];
  readonly bootVersion?: number;
  readonly sizeBytes?: number;
  readonly devices: number;
  readonly upToDate?: string;
  readonly versions: readonly VersionAnswer[];
}

/** An edit of a VDisk, said or made. */
export interface EditAnswer {
  readonly vdisk: string;
  readonly says: string;
  readonly unchanged: boolean;
  readonly patch: object;
  readonly applied: boolean;
  readonly managedBy?: string;
}

export interface AcceptAnswer {
  readonly vdisk: string;
  readonly version: number;
  readonly server: string;
  readonly manifest?: string;
  readonly files?: readonly { readonly name: string }[];
}

export interface RollbackAnswer {
  readonly vdisk: string;
  readonly version: number;
  readonly until?: string;
}

export interface JobAnswer {
  readonly vdisk: string;
  readonly server: string;
  readonly id: string;
  readonly kind: string;
  readonly version?: number;
  readonly state: string;
  readonly progressPercent?: number;
  readonly message?: string;
}

export interface PoolAnswer {
  readonly name: string;
  readonly site: string;
  readonly conditions: readonly Condition[];
}

export interface ServerAnswer {
  readonly name: string;
  readonly pool: string;
  readonly site: string;
  readonly state: string;
  readonly addresses: readonly string[];
  readonly devices: number;
  readonly booting: number;
  readonly loadPercent: number;
  readonly powerRating: number;
  readonly bootstrapHash?: string;
  readonly message: string;
}

export type CopyAnswer = Copy;
export type SessionAnswer = Session;
export interface DeviceAnswer extends Device {
  readonly site?: string;
  readonly session?: SessionAnswer;
  readonly stale?: Stale;
}

export interface AuditAnswer {
  readonly id: number;
  readonly at: string;
  readonly source: string;
  readonly who: string;
  readonly action: string;
  readonly kind: string;
  readonly name: string;
  readonly before: unknown;
  readonly after: unknown;
}
