/** The server role: protocols, copies, farm data and peers put together. Wiring; what is decided is decided elsewhere. */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerConfig } from '../control/config.ts';
import type { PeerLoad } from '../control/peer.ts';
import type { ServerFault } from '../control/status.ts';
import { databaseData } from '../database/data.ts';
import { Exports } from '../export/exports.ts';
import { bootstrapOf } from '../farm/bootstrap.ts';
import type { FarmData } from '../farm/data.ts';
import type { Server } from '../farm/model.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { Neighbours } from '../net/neighbours.ts';
import { type SessionWriter, sessionWriter } from '../replica/sessions.ts';
import type { ServerEntry } from '../stream/packet.ts';
import type { SessionSnapshot, StreamServer } from '../stream/server.ts';
import type { SessionEvent } from '../stream/shard.ts';
import type { Logger } from '../telemetry/log.ts';
import { AutoAdd } from './autoadd.ts';
import { BadCopies } from './badcopies.ts';
import { Boots } from './boots.ts';
import { Copies, type Readable } from './copies.ts';
import { HeldFiles } from './held.ts';
import { type Listeners, makeListeners, wantProtocols } from './listeners.ts';
import { Logins } from './login.ts';
import { type ServerMetrics, serverMetrics } from './metrics.ts';
import { Names } from './names.ts';
import { openParts, type Parts } from './parts.ts';
import { Refusals } from './refusals.ts';
import { Registration } from './registration.ts';
import { loadOf, SessionRows, usesOf } from './sessions.ts';
import { elsewhere, peerEndpoints, type Self, serverList } from './site.ts';
import { firstWhole } from './sources.ts';
import { leftOutFault, missing, type StatusFacts, serverStatus } from './status.ts';
import type { Surroundings } from './surroundings.ts';
import { Uuids } from './uuids.ts';
import { FarmView } from './view.ts';
import { Work } from './work.ts';

/** How often the list of servers and the load that devices see are brought up to date: two pings of a peer. */
const TICK_MS = 500;
const DRAIN_LOOK_MS = 50;
/** Of what moves to another store: who did not find a server there asks again. */
const HAND_OVER_MS = 10_000;
const COUNT_EVERY_MS = 60_000;

export async function startServer(config: ServerConfig, log: Logger): Promise<Result<FarmServer, Fault>> {
  const parts = await openParts(config, log);
  if (!parts.ok) return parts;
  const server = new FarmServer(parts.value);
  await server.start();
  return ok(server);
}

export class FarmServer {
  readonly #parts: Parts;
  readonly #instance = randomBytes(8);
  readonly #data: FarmData;
  readonly #view: FarmView;
  readonly #copies: Copies;
  readonly #held: HeldFiles;
  readonly #exports: Exports;
  readonly #sessions: SessionWriter;
  readonly #rows: SessionRows;
  readonly #names = new Names(async (host) => {
    const found = await lookup(host, { family: 4, all: true });
    return found.map(({ address }) => address);
  });
  readonly #autoAdd: AutoAdd;
  readonly #badCopies: BadCopies;
  readonly #listeners: Listeners;
  readonly #refusals: Refusals;
  readonly #work: Work;
  readonly #boots: Boots;
  #registration: Registration | undefined;
  #timer: NodeJS.Timeout | undefined;
  #draining = false;
  /** Of the farm, and when they were counted. */
  #devices = 0;
  #countedMs = Number.NEGATIVE_INFINITY;
  /** Which list of servers which stream was told last. */
  #told: { readonly stream: StreamServer; readonly version: number } | undefined;

  constructor(parts: Parts) {
    const { config, replica, database, journal, log } = parts;
    this.#parts = parts;
    this.#data = firstWhole(replica, databaseData(database));
    this.#view = new FarmView(this.#data, log);
    this.#held = new HeldFiles(config);
    this.#copies = new Copies({
      server: config,
      storeRoots: config.storeRoots,
      stateDirectory: config.stateDirectory,
      owner: { farm: config.farm, lineage: config.lineage },
      snapshot: () => this.#view.snapshot,
      onLooked: (copies, offers, right, properties) => {
        this.#held.set(right);
        this.#held.setProperties(properties);
        void this.#exports.set(copies, offers);
      },
      log,
    });
    this.#exports = new Exports({
      apply: async (exports) => this.#listeners.stream.value?.setExports(exports),
      inUse: (of) => this.#streamed().some(({ vdisk, version }) => vdisk === of.vdisk && version === of.version),
      onTableLost: (table) => void this.#copies.tableLost(table),
      log,
    });
    this.#sessions = sessionWriter({
      database,
      journal,
      server: config.name,
      current: () => this.#rows.current(),
      farm: () => this.#view.snapshot?.farm.id,
      log,
    });
    this.#rows = new SessionRows(this.#sessions, config.name);
    this.#refusals = new Refusals({
      data: this.#data,
      view: this.#view,
      stream: () => this.#listeners.stream.value,
      log,
    });
    const logins = new Logins({
      self: () => this.#self(),
      streamPort: config.ports.stream,
      view: this.#view,
      data: this.#data,
      database,
      replicaCheckedAt: () => replica.checkedAt(),
      alive: this.#alive,
      served: () => this.#readable(),
    });
    this.#work = new Work(config.stateDirectory, log);
    this.#badCopies = new BadCopies(log);
    const neighbours = new Neighbours();
    const macOf = (address: string) => neighbours.macOf(address);
    const { name, stateDirectory } = config;
    this.#boots = new Boots({ server: name, stateDirectory, macOf, log });
    this.#autoAdd = new AutoAdd({ server: config.name, database, log });
    this.#listeners = makeListeners(parts, {
      autoAdd: this.#autoAdd,
      uuids: new Uuids({ database, data: this.#data, log }),
      boots: this.#boots,
      macOf,
      instance: this.#instance,
      data: this.#data,
      view: this.#view,
      copies: this.#copies,
      held: this.#held,
      exports: this.#exports,
      logins,
      names: this.#names,
      metrics: this.#makeMetrics(),
      load: () => this.#load(),
      status: () => serverStatus(this.#facts()),
      ready: () => missing(this.#facts(), this.#listeners),
      onSession: (event) => this.#onSession(event),
      onBadCopy: (...found) => this.#badCopies.told(...found),
    });
  }

  async start(): Promise<void> {
    const { config, node, database, log } = this.#parts;
    const { telemetry, control, peers } = this.#listeners;
    void this.#boots.start();
    await Promise.all([telemetry.want(true), control.want(true), peers.want(true)]);
    this.#registration = new Registration(database, this.#row(), () => this.#sessions.tellAll(), log);
    this.#view.onSnapshot((snapshot) => {
      if (!this.#draining) wantProtocols(this.#listeners, snapshot, config.site);
      void this.#names.resolve(bootstrapOf(snapshot, config.site)?.boot.loginServers ?? []);
      void this.#copies.look();
      void this.#refusals.sweep();
    });
    await this.#view.read();
    await this.#copies.start();
    this.#work.start();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    log.info({ server: config.name, address: node.address, interface: node.interface }, 'server started');
  }

  /** Sends every device elsewhere, and waits until they are gone, machines that load what they boot with have it, or the time is over. */
  async drain(): Promise<void> {
    const { config, log } = this.#parts;
    this.#draining = true;
    this.#tick();
    log.info({ devices: this.#load().devices }, 'drain begins');
    const { stream, http, tftp } = this.#listeners;
    const withinMs = config.drainTimeoutSeconds * 1_000;
    const endMs = performance.now() + withinMs;
    await stream.value?.drain((session) => this.#elsewhere(session), withinMs);
    const loading = (): number => (http.value?.transfers ?? 0) + (tftp.value?.transfers ?? 0);
    while (loading() > 0 && performance.now() < endMs) await delay(DRAIN_LOOK_MS);
    log.info({ devices: this.#load().devices }, 'drain ended');
  }

  /** A store that hangs may hold it up for ever, at the very end. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#registration?.close();
    this.#refusals.close();
    this.#work.close();
    const { telemetry, ...protocols } = this.#listeners;
    await Promise.all(Object.values(protocols).map((listener) => listener.close()));
    const files = this.#copies.close().then(() => this.#exports.close());
    await this.#sessions.close();
    await this.#boots.close();
    this.#view.close();
    await this.#data.close();
    await this.#parts.journal.close();
    await this.#parts.database.close();
    this.#parts.keys.close();
    await telemetry.close();
    await files;
  }

  #row(): Server {
    const { name, site, pool, powerRating, ports } = this.#parts.config;
    const { stream, http, control } = ports;
    return { name, site, pool, powerRating, address: this.#parts.node.address, ports: { stream, http, control } };
  }

  #makeMetrics(): ServerMetrics {
    return serverMetrics({
      stream: () => this.#listeners.stream.value?.counters(),
      buffers: () => this.#listeners.stream.value?.buffers(),
      load: () => this.#load(),
      servedCopies: () => this.#copies.served.length,
      pulls: () => this.#copies.pulls,
      rottenChunks: () => this.#copies.rottenChunks,
      journalEntries: () => this.#sessions.journalEntries,
      jobs: (state) => this.#work.count(state),
      databaseReachable: () => this.#parts.database.state.reachable,
      ...this.#surroundings(),
    });
  }

  #surroundings(): Surroundings {
    const { config, database, replica } = this.#parts;
    return {
      faults: () => serverStatus(this.#facts()).faults,
      peers: () => {
        const names = [...peerEndpoints(this.#view.snapshot, config).keys()];
        return { registered: names.length, alive: names.filter((name) => this.#alive(name)).length };
      },
      replicaCheckedAt: async () => {
        const read = await replica.checkedAt();
        return read.ok ? read.value : undefined;
      },
      databaseAwaySince: () => (database.state.reachable ? undefined : database.state.since),
      stores: () => this.#copies.stores,
      keeps: () => this.#work.isKept(),
      tlsDirectory: config.tlsDirectory,
    };
  }

  readonly #alive = (name: string): PeerLoad | undefined => this.#listeners.peers.value?.alive(name);

  #load(): PeerLoad {
    const { config, node } = this.#parts;
    return loadOf(config, node, this.#draining, this.#streamed(), this.#readable(), Date.now());
  }

  #streamed(): readonly SessionSnapshot[] {
    return this.#listeners.stream.value?.sessions() ?? [];
  }

  /** What a device may read here: machines boot from what is served, and others read on from what is kept for them, too. */
  #readable(): readonly Readable[] {
    const kept = this.#exports.kept.map(({ disk, ...ref }) => ({ ...ref, sizeBytes: disk.sizeBytes }));
    return [...this.#copies.served, ...kept];
  }

  #self(): Self {
    const { config, node } = this.#parts;
    return { ...this.#load(), address: node.address, site: config.site, pool: config.pool };
  }

  #facts(): StatusFacts {
    const { config, node, database, identity } = this.#parts;
    return {
      config,
      node,
      instance: this.#instance.toString('hex'),
      load: this.#load(),
      uses: usesOf(this.#streamed()),
      streaming: this.#listeners.stream.value !== undefined,
      snapshot: this.#view.snapshot,
      dataFault: this.#view.fault,
      database: database.state,
      held: identity.held,
      listenerFaults: Object.values(this.#listeners).flatMap(({ fault }) => fault ?? []),
      journalEntries: this.#sessions.journalEntries,
      advisories: this.#advisories(),
      keys: [...this.#parts.keys.ring().keys.keys()],
      stores: this.#copies.stores,
      copies: this.#copies.reports,
      work: this.#work.reports,
    };
  }

  /** What a person must know, and no device notices. */
  #advisories(): readonly ServerFault[] {
    const { peers, stream } = this.#listeners;
    const faults = [
      this.#sessions.fault,
      leftOutFault(this.#view.snapshot),
      stream.value?.bufferFault(this.#devices),
      ...this.#badCopies.faults,
    ];
    return [
      ...faults.flatMap((fault) => (fault ? [{ ...fault, advisory: true as const }] : [])),
      ...[peers.value?.clockFault()].flatMap((fault) => fault ?? []),
      ...this.#names.faults,
      ...this.#autoAdd.faults,
    ];
  }

  /** Any server may have to take all of them. */
  async #countDevices(): Promise<void> {
    const now = performance.now();
    if (now - this.#countedMs < COUNT_EVERY_MS) return;
    this.#countedMs = now;
    const counted = await this.#data.deviceCount();
    if (counted.ok) this.#devices = counted.value;
  }

  #tick(): void {
    void this.#countDevices();
    const { snapshot } = this.#view;
    const stream = this.#listeners.stream.value;
    if (!snapshot || !stream) return;
    const self = this.#self();
    void stream.setLoad(self.loadPercent);
    if (this.#copies.served.some(({ isLeft }) => isLeft))
      stream.handOver((session) => this.#ofLeft(session), HAND_OVER_MS);
    const { version, entries } = serverList(snapshot, self, this.#alive);
    if (stream === this.#told?.stream && version === this.#told.version) return;
    this.#told = { stream, version };
    void stream.setServers(version, entries);
  }

  #elsewhere(session: SessionSnapshot): ServerEntry | undefined {
    const { snapshot } = this.#view;
    const copy = this.#readable().find(({ vdisk, version }) => vdisk === session.vdisk && version === session.version);
    return snapshot && copy && elsewhere(snapshot, this.#self(), this.#alive, copy.manifest, session);
  }

  /** Where a device goes whose vDisk moved to another store; undefined: it stays. */
  #ofLeft(session: SessionSnapshot): ServerEntry | undefined {
    const { snapshot } = this.#view;
    const copy = this.#copies.find(session.vdisk, session.version);
    if (!snapshot || !copy?.isLeft) return undefined;
    return elsewhere(snapshot, { ...this.#self(), draining: true }, this.#alive, copy.manifest, session);
  }

  #onSession(event: SessionEvent): void {
    const { type, device, mac, vdisk, version, role } = event;
    this.#parts.log.debug({ event: type, device, mac, vdisk, version, role }, 'session');
    this.#rows.record(event);
    this.#boots.session(event);
    if (type === 'attached') void this.#refusals.look(event);
  }
}
