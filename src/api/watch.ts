/** What changed of one farm since the last look, each thing once. */
import { changesSince } from '../database/pages.ts';
import type { Device, Session } from '../farm/model.ts';
import type { OpenFarm } from './farms.ts';
import { farmOf, type Named, serversOf, storeOf, vdiskOf } from './given.ts';

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

export class Watch {
  readonly #farm: OpenFarm;
  #resources: Seen | undefined;
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

  /** A resource that changed is another object; of a pool only those of its servers that differ are told. */
  #lookAtResources(): readonly Change[] {
    const before = this.#resources;
    const now = new Map<string, unknown>();
    const changes: Change[] = [];
    const tell = (kind: ChangeKind, source: unknown, value: object & Named, text?: string): void => {
      const key = `${kind}/${value.name}`;
      const was = before?.get(key);
      now.set(key, text ?? source);
      if (before && was !== (text ?? source)) changes.push({ kind, name: value.name, value });
    };
    tell('farms', this.#farm.farm, farmOf(this.#farm.farm));
    for (const vdisk of this.#farm.vdisks()) tell('vdisks', vdisk, vdiskOf(vdisk));
    for (const store of this.#farm.stores()) tell('stores', store, storeOf(store));
    for (const server of serversOf(this.#farm.pools())) tell('servers', server, server, JSON.stringify(server));
    for (const key of before?.keys() ?? []) {
      const [kind = '', name = ''] = key.split('/');
      if (!now.has(key)) changes.push({ kind: kind as ChangeKind, name });
    }
    this.#resources = now;
    return changes;
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
