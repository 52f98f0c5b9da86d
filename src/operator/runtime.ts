/** What runs for one farm while this operator leads: its database connection, the projector of its replica, and the poller of its servers. */
import { controlClient } from '../control/client.ts';
import type { Answer, Database } from '../database/connection.ts';
import { countDevices } from '../database/devices.ts';
import type { DatabaseFault } from '../database/fault.ts';
import { fencedBy, type Lead, lead } from '../database/identity.ts';
import { migrate } from '../database/migrate.ts';
import type { ServerAccess } from '../database/roles.ts';
import type { Identity } from '../farm/identity.ts';
import { type Fault, fail, ok } from '../kit/result.ts';
import type { Meta } from '../replica/layout.ts';
import { readMeta } from '../replica/link.ts';
import { type Projector, type ReplicaHealth, startProjector } from '../replica/projector.ts';
import type { Logger } from '../telemetry/log.ts';
import { type AllBoots, type AllUnknown, askBoots, askUnknown } from './boots.ts';
import { CopyRecord } from './copies.ts';
import type { Infrastructure } from './infrastructure.ts';
import { Poller, type ServerView, type WantedServer } from './poller.ts';
import { Recent } from './recent.ts';
import { type FarmRows, readRows } from './rows.ts';
import { grantServers, type ServerPlace, whoLacks } from './takeup.ts';
import { type Asked, observe, type Uses } from './uses.ts';

/** All reconciles of this time share one reading of the rows. */
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
  readonly copies = new CopyRecord();
  readonly #log: Logger;
  readonly #poller: Poller;
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
  #ended: Promise<void> | undefined;
  #fenced: { readonly by: number; readonly untilMs: number } | undefined;
  /** Why the database is not the farm's, and what the replica was like when that was found. */
  #refusal: { readonly fault: DatabaseFault; readonly replica: ReplicaHealth } | undefined;

  /** `onServers`: one of them began or ceased to answer, or is in another state. `before`: the runtime that this one replaces, whose answers hold until servers were asked again. */
  constructor(inputs: Infrastructure, database: Database, log: Logger, onServers: () => void, before?: FarmRuntime) {
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
    const control = controlClient(inputs.identity, () => this.#poller.soon());
    this.#poller = new Poller(control, onServers, before ? before.#poller : undefined);
    this.#uses = before ? before.#uses : undefined;
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
    if (!this.asked) return 'Asking';
    return this.#poller.answers.flatMap(({ farm }) => farm ?? []);
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
    if (!this.#rows || nowMs - this.#rows.atMs > ROWS_LIFE_MS)
      this.#rows = { atMs: nowMs, answer: this.#refusal ? Promise.resolve(undefined) : readRows(this.database) };
    return this.#rows.answer;
  }

  /** Who uses what, as far as it can be seen now. */
  async uses(): Promise<Uses> {
    const rows = await this.rows();
    const [asked, read] = [this.#poller.askedMs, this.#rows];
    if (this.#uses && this.#sight?.read === read && this.#sight?.asked === asked) return this.#uses;
    this.#sight = { read, asked };
    const servers = new Map(this.servers.filter(mayServe(rows)).map((view) => [view.name, askedOf(view)]));
    const sight = { atMs: performance.now(), askedMs: asked, servers };
    this.#uses = observe(this.#uses, rows ? { ...sight, rows } : sight);
    return this.#uses;
  }

  /** Undefined while the database is away, or not the farm's. */
  async countDevices(): Promise<number | undefined> {
    const counted = this.#refusal ? undefined : await countDevices(this.database);
    return counted?.ok ? counted.value : undefined;
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
    this.#poller.want(servers);
  }

  /** Each server was asked once: until then nothing follows from what it did not say. */
  get asked(): boolean {
    return this.#poller.asked;
  }

  get servers(): readonly ServerView[] {
    return this.#poller.servers;
  }

  /** What servers heard of a machine, by all its MACs. */
  boots(macs: readonly string[]): Promise<AllBoots> {
    return this.#poller.ask((control, servers) => askBoots(control, servers, macs));
  }

  /** Machines that they heard lately, and that were no devices then. */
  unknown(): Promise<AllUnknown> {
    return this.#poller.ask(askUnknown);
  }

  /** Only the replica is kept, until a later leader writes it, or until `close`: then it has ended. */
  rest(): Promise<void> {
    this.#ended ??= (async () => {
      await this.#poller.close();
      await this.#projector?.projector.done;
      await this.database.close();
    })();
    return this.#ended;
  }

  async close(): Promise<void> {
    void this.#projector?.projector.close();
    await this.rest();
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
