/**
 * What runs for each farm while this operator leads: its database connection, the projector of its replica, and the poller that asks its
 * servers how they are. A farm's runtime is made anew when what it was made from changes.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Authority } from '../control/certificates.ts';
import { type ControlClient, type ControlIdentity, controlClient } from '../control/client.ts';
import type { ServerStatus } from '../control/status.ts';
import { type Answer, connect, type Database, type DatabaseAccess } from '../database/connection.ts';
import { countDevices } from '../database/devices.ts';
import type { DatabaseFault } from '../database/fault.ts';
import { fencedBy, type Lead, lead } from '../database/identity.ts';
import { migrate } from '../database/migrate.ts';
import { snapshot } from '../database/project.ts';
import type { ServerAccess, Turn } from '../database/roles.ts';
import { sessionCounts } from '../database/servers.ts';
import type { Identity } from '../farm/identity.ts';
import { type Fault, fail, ok } from '../kit/result.ts';
import type { Meta } from '../replica/layout.ts';
import { type RedisAccess, readMeta } from '../replica/link.ts';
import { type Projector, type ReplicaHealth, startProjector } from '../replica/projector.ts';
import type { Logger } from '../telemetry/log.ts';
import { Recent } from './recent.ts';
import { grantServers, type ServerPlace, whoLacks } from './takeup.ts';
import { type Asked, look, type Use, type Uses } from './uses.ts';

/** A server that should be there. */
export interface WantedServer {
  readonly name: string;
  readonly pool: string;
  readonly site: string;
  readonly address: string;
  readonly controlPort: number;
}

export interface ServerView extends WantedServer {
  /** Its last answer, which may be old. */
  readonly status?: ServerStatus;
  readonly reachable: boolean;
  /** Why it is not. */
  readonly message: string;
}

interface ServerTurn {
  readonly turn: Turn;
  readonly password: string;
}

export interface ServerLogins {
  readonly current: ServerTurn;
  /** To be let in, and not used yet. */
  readonly next?: ServerTurn;
  /** Nobody uses, or is to use, the other role. */
  readonly isAlone: boolean;
}

/** What a farm stands on: `reconcile/farm/infrastructure.ts` makes it. */
export interface Infrastructure {
  /** Of the owner of the tables. */
  readonly database: DatabaseAccess;
  /** What servers are told. Absent until it was found out what they can log in as. */
  readonly serverUri?: string;
  /** For the roles that they get where the owner may make them. */
  readonly serverLogins: ServerLogins;
  /** A person made a login for them. */
  readonly givenServerUri?: string;
  readonly redis: RedisAccess;
  /** The same by the newest password, and believed by the authority that signs alone: who answers to it has taken up both. */
  readonly provenRedis: RedisAccess;
  /** Where the database has a certificate of the farm's authority. */
  readonly provenDatabase?: DatabaseAccess;
  /** The state of each Secret that turns, in one word (`reconcile/farm/turn.ts`). */
  readonly turns: { readonly ca: string; readonly database: string; readonly replica: string };
  /** Where followers follow, for an embedded replica. */
  readonly primary?: { readonly host: string; readonly port: number; readonly followerPassword: string };
  /** The operator's own, for the control ports of servers. */
  readonly identity: ControlIdentity;
  /** Signs the certificates of servers. */
  readonly authority: Authority;
  /** Of the farm's keys (`reconcile/farm/rotation.ts`): part of the path of what its nodes keep. */
  readonly lineage: string;
  /** `metadata.uid` of their Secret. */
  readonly keysUid: string;
  /** `metadata.uid` of the Farm: one that is made again has another runtime. */
  readonly farmUid: string;
}

/** What the database says that statuses are made of. */
export interface FarmRows {
  readonly servers: readonly { readonly name: string; readonly pool: string }[];
  /** Manifest digest of what is right, by vDisk and version. */
  readonly recorded: ReadonlyMap<string, ReadonlyMap<number, string>>;
  /** When they had been read. */
  readonly atMs: number;
  /** Sessions that have not ended. */
  readonly uses: readonly Use[];
}

const POLL_MS = 1_000;
/** While one that should be there does not answer: who waits for a rollout waits for this, too. */
const POLL_SILENT_MS = 500;
/** All looks of this time share one reading of the rows. */
const ROWS_LIFE_MS = 1_000;
/** What the operator made is looked at again this often, though nobody told of a change. */
const CHECK_EVERY_MS = 30_000;
/** A leader that was fenced waits longer than a lease lasts: only who still leads then takes the replica back. */
const FENCED_PAUSE_MS = 20_000;

export class FarmRuntime {
  /** To ask whose it is, and to read what is proven to be the farm's. */
  readonly database: Database;
  /** The same for all that this operator writes: refused where the database is not the farm's, fenced where another leader leads. */
  readonly writes: Database;
  readonly inputs: Infrastructure;
  /** Secrets and objects that were found right. */
  readonly checked = new Recent(CHECK_EVERY_MS);
  readonly #log: Logger;
  readonly #control: ControlClient;
  readonly #stop = new AbortController();
  readonly #polling: Promise<void>;
  #wanted: readonly WantedServer[] | undefined;
  #asked = false;
  #views: ReadonlyMap<string, ServerView> = new Map();
  /** When they began to be asked for these. */
  #askedMs = 0;
  #uses: Uses | undefined;
  /** What they were made from. */
  #sight: { readonly read: unknown; readonly asked: number } | undefined;
  #rows: { readonly atMs: number; readonly answer: Promise<FarmRows | undefined> } | undefined;
  #projector: { readonly farmId: string; readonly epoch: number; readonly projector: Projector } | undefined;
  #migrated: Promise<Fault | undefined> | undefined;
  #access: Answer<ServerAccess> | undefined;
  /** What came of it. */
  #granted: ServerAccess | undefined;
  readonly #tookUp = new Map<string, ReadonlySet<string>>();
  #excess: string | undefined;
  /** Of this leadership; absent: it has not begun. */
  #epoch: number | undefined;
  /** The highest that this operator had here: another database begins above it, too. */
  #floor = 0;
  #fenced: { readonly by: number; readonly untilMs: number } | undefined;
  /** Why the database is not the farm's, and what the replica was like when that was found. */
  #refusal: { readonly fault: DatabaseFault; readonly replica: ReplicaHealth } | undefined;

  /** `before`: the runtime that this one replaces, whose answers hold until servers were asked again. */
  constructor(inputs: Infrastructure, database: Database, log: Logger, before?: FarmRuntime) {
    if (before) {
      this.#wanted = before.#wanted;
      this.#views = before.#views;
      this.#asked = before.#asked;
      this.#askedMs = before.#askedMs;
      this.#uses = before.#uses;
    }
    this.inputs = inputs;
    this.database = database;
    this.writes = {
      get state() {
        return database.state;
      },
      onState: (callback) => database.onState(callback),
      run: (work) => this.#write(work),
      close: () => database.close(),
    };
    this.#log = log;
    this.#control = controlClient(inputs.identity);
    this.#polling = this.#poll();
  }

  async #write<T>(work: Parameters<typeof this.database.run<T>>[0]): Answer<T> {
    if (this.#refusal) return { ok: false, error: this.#refusal.fault };
    const done = await fencedBy(this.database, this.#epoch ?? 0).run(work);
    if (!done.ok && done.error.code === 'Fenced' && this.#epoch !== undefined) this.#fence(this.#epoch);
    return done;
  }

  /** Begins to lead, once; again after it was fenced, when it is sure to lead still. */
  async lead(request: Lead): Answer<number> {
    if (this.#epoch !== undefined && !request.takeOver) return ok(this.#epoch);
    if (this.#fenced && performance.now() < this.#fenced.untilMs)
      return fail(
        'Fenced',
        `a leader of epoch ${this.#fenced.by} or later wrote: this one waits until it is sure to lead`,
      );
    const floor = Math.max(request.floor, this.#floor, this.#fenced?.by ?? 0);
    const led = await lead(this.database, { ...request, floor });
    if (!led.ok) return led;
    this.#epoch = led.value;
    this.#floor = led.value;
    return led;
  }

  #fence(by: number): void {
    this.#epoch = undefined;
    this.#fenced = { by, untilMs: performance.now() + FENCED_PAUSE_MS };
  }

  /** What the primary holds; `Unread` while it does not answer, and while the projector writes it and needs no reading. */
  async meta(): Promise<Meta | 'Unread' | undefined> {
    const state = this.#projector?.projector.health.state;
    if (state === 'InSync' || state === 'Lagging') return 'Unread';
    const read = await readMeta(this.inputs.redis);
    return read.ok ? read.value : 'Unread';
  }

  /** The farms that servers hold, as far as they say so. */
  held(): readonly Identity[] | 'Asking' {
    if (!this.#asked) return 'Asking';
    return [...this.#views.values()].flatMap(({ status }) => status?.farm ?? []);
  }

  /** The database is not the farm's: nothing of it is used, and nothing is written to it or from it. */
  refuse(fault: DatabaseFault): void {
    const { followers = 0, lastChange = Date.now(), state } = this.replica ?? {};
    const since = state === 'Stale' ? lastChange : Date.now();
    this.#refusal = { fault, replica: { state: 'Stale', followers, lastChange: since, message: fault.message } };
    void this.#projector?.projector.close();
    this.#projector = undefined;
    this.#rows = undefined;
    this.begin();
  }

  /** The database has no tables (any more): what was migrated and led was another one. */
  begin(): void {
    this.#migrated = undefined;
    this.#epoch = undefined;
  }

  get refused(): boolean {
    return this.#refusal !== undefined;
  }

  /** It is. */
  accept(): void {
    this.#refusal = undefined;
  }

  /** Once; again after it failed. */
  migrate(): Promise<Fault | undefined> {
    this.#migrated ??= migrate(this.inputs.database.uri, undefined, this.#epoch ?? 0, this.inputs.database.ca).then(
      (answer) => {
        if (answer.ok) return undefined;
        this.#migrated = undefined;
        return answer.error;
      },
    );
    return this.#migrated;
  }

  /** What servers log in as, with its rights brought about. Once; again after it failed. */
  serverAccess(): Answer<ServerAccess> {
    this.#access ??= grantServers(this.database, this.inputs).then((answer) => {
      if (!answer.ok) this.#access = undefined;
      this.#granted = answer.ok ? answer.value : undefined;
      this.#excess = this.#granted?.excess;
      return answer;
    });
    return this.#access;
  }

  /** The servers of a pool, by node, that run with what this runtime was made from. */
  tookUp(pool: string, nodes: readonly string[]): void {
    this.#tookUp.set(pool, new Set(nodes));
  }

  /** Who of these servers does not yet, and whether the database and the replica do not. */
  lacking(servers: readonly ServerPlace[]): Promise<readonly string[]> {
    return whoLacks(this.inputs, this.#granted, this.#tookUp, servers);
  }

  /** Why servers have more rights in the database than they need. */
  get excess(): string | undefined {
    return this.#excess;
  }

  /** Undefined while the database is away. Up to a second old. */
  rows(): Promise<FarmRows | undefined> {
    const nowMs = performance.now();
    if (!this.#rows || nowMs - this.#rows.atMs > ROWS_LIFE_MS) this.#rows = { atMs: nowMs, answer: this.#readRows() };
    return this.#rows.answer;
  }

  /** Who uses what, as far as it can be seen now. */
  async uses(): Promise<Uses> {
    const rows = await this.rows();
    const [asked, read] = [this.#askedMs, this.#rows];
    if (this.#uses && this.#sight?.read === read && this.#sight?.asked === asked) return this.#uses;
    this.#sight = { read, asked };
    const servers = new Map(this.servers.filter(mayServe(rows)).map((view) => [view.name, askedOf(view)]));
    const sight = { atMs: performance.now(), askedMs: asked, servers };
    this.#uses = look(this.#uses, rows ? { ...sight, rows } : sight);
    return this.#uses;
  }

  /** Undefined while the database is away, or not the farm's. */
  async countDevices(): Promise<number | undefined> {
    const counted = this.#refusal ? undefined : await countDevices(this.database);
    return counted?.ok ? counted.value : undefined;
  }

  async #readRows(): Promise<FarmRows | undefined> {
    if (this.#refusal) return undefined;
    const [rows, uses] = await Promise.all([snapshot(this.database), sessionCounts(this.database)]);
    if (!rows.ok || !rows.value || !uses.ok) return undefined;
    const recorded = new Map<string, Map<number, string>>();
    for (const { vdisk, number, content } of rows.value.versions) {
      const versions = recorded.get(vdisk) ?? new Map<number, string>();
      if (content) versions.set(number, content.manifest);
      recorded.set(vdisk, versions);
    }
    return { servers: rows.value.servers, recorded, atMs: performance.now(), uses: uses.value };
  }

  /** Keeps the replica at the state of this farm's database, for this leadership. */
  project(farmId: string, epoch: number): void {
    if (this.#projector?.farmId === farmId && this.#projector.epoch === epoch) return;
    void this.#projector?.projector.close();
    const projector = startProjector({
      database: this.database,
      redis: this.inputs.redis,
      farmId,
      epoch,
      log: this.#log,
    });
    this.#projector = { farmId, epoch, projector };
    void projector.done.then(({ fencedBy: by }) => {
      if (by !== undefined && this.#epoch === epoch) this.#fence(by);
    });
  }

  get replica(): ReplicaHealth | undefined {
    return this.#refusal?.replica ?? this.#projector?.projector.health;
  }

  /** The servers to ask from now on. */
  want(servers: readonly WantedServer[]): void {
    this.#wanted = servers;
  }

  /** Each server was asked once: until then nothing follows from what it did not say. */
  get asked(): boolean {
    return this.#asked;
  }

  get servers(): readonly ServerView[] {
    return (this.#wanted ?? []).map((server) => ({
      ...(this.#views.get(server.name) ?? { reachable: false, message: `server ${server.name} was not asked yet` }),
      ...server,
    }));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#polling;
    await this.#projector?.projector.close();
    await this.#control.close();
    await this.database.close();
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const wanted = this.#wanted;
      const askedMs = performance.now();
      const looked = await Promise.all((wanted ?? []).map((server) => this.#look(server)));
      this.#views = new Map(looked.map((view) => [view.name, view]));
      this.#askedMs = askedMs;
      this.#asked ||= wanted !== undefined;
      const isWhole = looked.every(({ reachable }) => reachable);
      await delay(isWhole ? POLL_MS : POLL_SILENT_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #look(server: WantedServer): Promise<ServerView> {
    const { name, address, controlPort: port } = server;
    const before = this.#views.get(name)?.status;
    const answer = await this.#control.status({ name, address, port });
    if (answer.ok) return { ...server, status: answer.value, reachable: true, message: '' };
    return { ...server, ...(before ? { status: before } : {}), reachable: false, message: answer.error.message };
  }
}

/** One that never answered and never registered, never ran: nobody waits for its word. */
const mayServe =
  (rows: FarmRows | undefined) =>
  ({ name, status }: ServerView): boolean =>
    status !== undefined || !rows || rows.servers.some((server) => server.name === name);

/** Of an earlier release it is not known which vDisks its devices stream. */
function askedOf({ name, reachable, status }: ServerView): Asked | undefined {
  if (!reachable || !status) return undefined;
  const { instance, state, journalEntries, devices, uses = [{ vdisk: '', devices }] } = status;
  const streams = state !== 'Starting';
  return { instance, streams, journalEntries, uses: uses.map((found) => ({ server: name, ...found })) };
}

/** All runtimes, by the farm's key. */
export class FarmRuntimes {
  readonly #byKey = new Map<string, FarmRuntime>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  get(key: string): FarmRuntime | undefined {
    return this.#byKey.get(key);
  }

  /** That of this very Farm: one of another Farm of its name, which is gone, knows nothing of it, and ends. */
  async of(key: string, uid: string | undefined): Promise<FarmRuntime | undefined> {
    const known = this.#byKey.get(key);
    if (!known || known.inputs.farmUid === uid) return known;
    await this.end(key);
    return undefined;
  }

  /** The runtime made from these inputs, in place of another one, which ends. A fault says what is wrong with the inputs. */
  async ensure(key: string, inputs: Infrastructure): Promise<FarmRuntime | Fault> {
    const known = this.#byKey.get(key);
    if (known && JSON.stringify(known.inputs) === JSON.stringify(inputs)) return known;
    const database = connect({ ...inputs.database, applicationName: 'bootfarm operator' });
    if (!database.ok) return database.error;
    const made = new FarmRuntime(inputs, database.value, this.#log, known);
    this.#byKey.set(key, made);
    await known?.close();
    return made;
  }

  async end(key: string): Promise<void> {
    const known = this.#byKey.get(key);
    this.#byKey.delete(key);
    await known?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byKey.keys()].map((key) => this.end(key)));
  }
}
