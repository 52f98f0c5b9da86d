/** The tables as Kysely sees them: one interface a table, columns as `migrations/` makes them. */
import type { Generated, Insertable, Selectable } from 'kysely';
import type { Access, Boot, CopyState, Farm, LoadBalancing, Server, Session, Store, Version } from '../farm/model.ts';

type Strings = Readonly<Record<string, string>>;

export interface Tables {
  farm: {
    id: Generated<string>;
    one: Generated<boolean>;
    name: string;
    mode: Farm['mode'];
    offline: Farm['offline'];
    auto_add: Farm['autoAdd'] | null;
    suspend: boolean;
  };
  site: { name: string; boot: Boot; orphaned: Generated<boolean> };
  collection: {
    name: string;
    site: string;
    vdisk: string | null;
    class: Access;
    template: Strings;
    orphaned: Generated<boolean>;
  };
  store: {
    name: string;
    site: string | null;
    pools: readonly string[];
    servers: readonly string[];
    local: Store['local'];
    orphaned: Generated<boolean>;
  };
  server_pool: { name: string; site: string; orphaned: Generated<boolean> };
  vdisk: {
    name: string;
    store: string;
    file_name: string;
    enabled: boolean;
    load_balancing: LoadBalancing;
    overlay_mib: number;
    boot_version: number | null;
    command_line: string;
    orphaned: Generated<boolean>;
  };
  vdisk_version: {
    vdisk: string;
    number: number;
    access: Access;
    release_at: number | null;
    content: NonNullable<Version['content']> | null;
    listed: Generated<boolean>;
  };
  device: {
    name: string;
    uuid: string | null;
    collection: string;
    class: Access | null;
    enabled: boolean;
    properties: Strings;
  };
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
    reported_at: Generated<Date>;
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
  leader: { one: Generated<boolean>; epoch: number; farm_uid: string | null; farm_name: string | null };
}

export type AuditSource = 'resource' | 'command' | 'api' | 'auto-add' | 'offline';

export type Row<T extends keyof Tables> = Selectable<Tables[T]>;
export type NewRow<T extends keyof Tables> = Insertable<Tables[T]>;
