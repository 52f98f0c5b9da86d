/** What changed of one farm since the last look, each thing once. */
import { changesSince } from '../database/pages.ts';
import type { Device, Session } from '../farm/model.ts';
import type { StreamingServer } from '../resources/kinds.ts';
import type { OpenFarm } from './farms.ts';
import { farmOf, type ServerOut, serversOf, storeOf, vdiskOf } from './given.ts';

export const CHANGE_KINDS = ['farms', 'servers', 'vdisks', 'stores', 'devices', 'sessions', 'database'] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

export interface Change {
  readonly kind: ChangeKind;
  /** Of a session: its device. */
  readonly name: string;
  /** As the list of its kind gives it; absent: it is gone. */
  readonly value?: object;
  /** Of devices and sessions, for who may see them. Null: it is not known. */
  readonly collection?: string | null;
  /** Where its device was before, at each edit since the last look: who saw it there is told that it left. */
  readonly from?: readonly string[];
}

export interface Look {
  readonly changes: readonly Change[];
  /** More changed than is told one by one: lists are to be read anew, and what is told comes behind. */
  readonly isTooMuch?: boolean;
}

/** Of the farm database. */
interface Reachable {
  readonly reachable: boolean;
  readonly since: string;
  readonly reason?: string;
}

/** What was looked at before: by kind and name, what it was read from. */
type Seen = ReadonlyMap<string, unknown>;
/** Of a pool, with what is compared of each. */
type Servers = readonly (readonly [ServerOut, string])[];

export class Watch {
  readonly #farm: OpenFarm;
  #resources: Seen | undefined;
  readonly #servers = new WeakMap<StreamingServer, Servers>();
  #rows: ReadonlyMap<string, string> = new Map();
  #mark: number | undefined;
  #database: Reachable | undefined;

  constructor(farm: OpenFarm) {
    this.#farm = farm;
  }

  /** Undefined: it was not looked at yet. */
  get database(): Reachable | undefined {
    return this.#database;
  }

  async look(): Promise<Look> {
    const resources = this.#lookAtResources();
    const rows = await this.#lookAtRows();
    return rows.isTooMuch ? rows : { changes: [...resources, ...rows.changes] };
  }

  /** A resource that changed is another object, and no other is made ready to be given; of a pool only those of its servers that differ are told. */
  #lookAtResources(): readonly Change[] {
    const before = this.#resources;
    const now = new Map<string, unknown>();
    const changes: Change[] = [];
    const look = (kind: ChangeKind, name: string, source: unknown, value: () => object): void => {
      const key = `${kind}/${name}`;
      now.set(key, source);
      if (before && before.get(key) !== source) changes.push({ kind, name, value: value() });
    };
    const { farm } = this.#farm;
    look('farms', farm.metadata.name, farm, () => farmOf(farm));
    for (const vdisk of this.#farm.vdisks()) look('vdisks', vdisk.metadata.name, vdisk, () => vdiskOf(vdisk));
    for (const store of this.#farm.stores()) look('stores', store.metadata.name, store, () => storeOf(store));
    for (const pool of this.#farm.pools())
      for (const [server, text] of this.#serversOf(pool)) look('servers', server.name, text, () => server);
    for (const key of before?.keys() ?? []) {
      const [kind = '', name = ''] = key.split('/');
      if (!now.has(key)) changes.push({ kind: kind as ChangeKind, name });
    }
    this.#resources = now;
    return changes;
  }

  #serversOf(pool: StreamingServer): Servers {
    const known = this.#servers.get(pool);
    if (known) return known;
    const servers = serversOf([pool]).map((server) => [server, JSON.stringify(server)] as const);
    this.#servers.set(pool, servers);
    return servers;
  }

  async #lookAtRows(): Promise<Look> {
    const mark = this.#mark;
    const read = await this.#farm.read((database) => changesSince(database, mark));
    const news = this.#judgeDatabase(read.ok ? undefined : read.error.message);
    if (!read.ok) return { changes: news };
    const { value } = read.value;
    this.#mark = value.mark;
    if (value.isTooMuch) return { changes: news, isTooMuch: true };
    const rows = [
      ...value.devices.map((device) => ofDevice(device, this.#farm)),
      ...value.removed.map((gone): Change => ({ kind: 'devices', ...gone })),
      ...value.sessions.map(({ collection, ended, ...session }) => ofSession(session, collection, ended)),
    ].map((change): Change => {
      const from = value.from.get(change.name);
      return from && from.length > 0 ? { ...change, from } : change;
    });
    return { changes: [...news, ...this.#news(rows)] };
  }

  /** It is told that it went, and that it is back; at the first look only that it is not there. */
  #judgeDatabase(reason: string | undefined): readonly Change[] {
    const reachable = reason === undefined;
    const before = this.#database;
    if (before?.reachable === reachable) return [];
    this.#database = { reachable, since: new Date().toISOString(), ...(reachable ? {} : { reason }) };
    return reachable && !before ? [] : [{ kind: 'database', name: 'database', value: this.#database }];
  }

  /** Rows come again while an older transaction runs. */
  #news(rows: readonly Change[]): readonly Change[] {
    const texts = rows.map((change) => [`${change.kind}/${change.name}`, JSON.stringify(change)] as const);
    const before = this.#rows;
    this.#rows = new Map(texts);
    return rows.filter((_, index) => {
      const [key = '', text] = texts[index] ?? [];
      return before.get(key) !== text;
    });
  }
}

const ofDevice = (device: Device, farm: OpenFarm): Change => {
  const site = farm.siteOf(device.collection);
  const value = { ...device, ...(site === undefined ? {} : { site }) };
  return { kind: 'devices', name: device.name, value, collection: device.collection };
};

const ofSession = (session: Session, collection: string | null, ended: boolean): Change => ({
  kind: 'sessions',
  name: session.device,
  collection,
  ...(ended ? {} : { value: session }),
});
