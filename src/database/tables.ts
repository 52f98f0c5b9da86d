/** The tables as Kysely sees them: one interface a table, columns as `migrations/` makes them. `doc` is an entry of the farm model. */
import type { Generated } from 'kysely';
import type {
  Access,
  Collection,
  CopyState,
  Farm,
  Server,
  Session,
  Site,
  Store,
  VDisk,
  Version,
  VersionFile,
} from '../farm/model.ts';

type Strings = Readonly<Record<string, string>>;

export interface Pool {
  readonly name: string;
  readonly site: string;
}

export interface Tables {
  farm: { id: Generated<string>; one: Generated<boolean>; doc: Omit<Farm, 'id'> };
  site: { name: string; doc: Site; orphaned: Generated<boolean> };
  collection: { name: string; site: string; doc: Collection; orphaned: Generated<boolean> };
  store: { name: string; doc: Store; orphaned: Generated<boolean> };
  server_pool: { name: string; doc: Pool; orphaned: Generated<boolean> };
  vdisk: { name: string; doc: VDisk; orphaned: Generated<boolean> };
  vdisk_version: {
    vdisk: string;
    number: number;
    doc: Omit<Version, 'content' | 'settledAt'>;
    content: NonNullable<Version['content']> | null;
    settled_at: number | null;
    listed: Generated<boolean>;
  };
  version_override: { vdisk: string; version: number; until: number | null; at: Generated<Date>; who: string };
  device: {
    name: string;
    uuid: string | null;
    collection: string;
    class: Access | null;
    enabled: boolean;
    properties: Strings;
  };
  shared_uuid: { uuid: string; device: string; mac: string; at: Generated<Date> };
  removed: { device: string; at: Generated<Date> };
  device_mac: { mac: string; device: string; position: number };
  server: {
    name: string;
    site: string;
    pool: string;
    address: string;
    ports: Server['ports'];
    power_rating: number;
    heartbeat: Generated<Date>;
  };
  session: {
    device: string;
    server: string;
    vdisk: string;
    version: number;
    since: number;
    epoch: number;
    protocol: Session['protocol'];
    ended: Generated<boolean>;
  };
  copy: {
    server: string;
    vdisk: string;
    version: number;
    state: CopyState;
    progress_percent: number;
    manifest: string | null;
    message: string;
    /** Since this state began. */
    since: Generated<Date>;
    /** Of the last change of this row. */
    reported_at: Generated<Date>;
    /** As it was then. */
    seconds_left: number | null;
    verified_at: Date | null;
    files: readonly VersionFile[] | null;
  };
  journal_entry: { id: string; server: string; applied_at: Generated<Date> };
  audit: {
    id: Generated<number>;
    at: Generated<Date>;
    source: AuditSource;
    who: string;
    action: string;
    kind: string;
    name: string;
    before: object | null;
    after: object | null;
  };
  dirty: { id: Generated<number>; kind: string; key: string; at: Generated<Date> };
  feed_cursor: {
    one: Generated<boolean>;
    token: string;
    epoch: number;
    revision: Generated<number>;
    adoptions: Generated<number>;
    replaces: Generated<readonly string[]>;
    stepped_at: Generated<Date>;
  };
  leader: {
    one: Generated<boolean>;
    epoch: number;
    farm_uid: string | null;
    farm_name: string | null;
    keys_uid: string | null;
  };
}

export type AuditSource = 'resource' | 'command' | 'api' | 'auto-add' | 'offline';
