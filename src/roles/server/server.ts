/**
 * The server role: protocols, copies, farm data and peers put together. Wiring; what is decided is decided elsewhere. Above 400 lines because
 * the parts name each other: each listener asks the view, the copies and the load of the others.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PeerLoad } from '../../control/peer.ts';
import { type Peers, startPeers } from '../../control/peers.ts';
import { type ControlServer, startControl } from '../../control/server.ts';
import type { ServerFault, ServerStatus } from '../../control/status.ts';
import { connect, type Database } from '../../database/connection.ts';
import { databaseData } from '../../database/data.ts';
import { type ProxyDhcp, startProxyDhcp } from '../../dhcp/server.ts';
import { bootstrapHash, bootstrapOf } from '../../farm/bootstrap.ts';
import type { FarmData } from '../../farm/data.ts';
import type { Endpoint, Server } from '../../farm/model.ts';
import { place } from '../../farm/place.ts';
import { type HttpBoot, startHttpBoot } from '../../httpboot/server.ts';
import { errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { type Journal, openJournal } from '../../replica/journal.ts';
import { openReplica } from '../../replica/reader.ts';
import { type SessionWriter, sessionWriter } from '../../replica/sessions.ts';
import type { ServerEntry } from '../../stream/packet.ts';
import { type SessionSnapshot, type StreamServer, startStreamServer } from '../../stream/server.ts';
import type { SessionEvent } from '../../stream/session.ts';
import { startTelemetry, type TelemetryServer } from '../../telemetry/health.ts';
import type { Logger } from '../../telemetry/log.ts';
import { startTftp, type Tftp } from '../../tftp/server.ts';
import { type BootOptions, bootToken, decide, dhcpVerdict } from './boot.ts';
import { bootFile, bootFileNames } from './bootfiles.ts';
import { chooseAddress, type NodeAddress, type ServerConfig } from './config.ts';
import { Copies } from './copies.ts';
import { Disks } from './disks.ts';
import { Keys, readKeys } from './keys.ts';
import { Listener } from './listener.ts';
import { Logins } from './login.ts';
import { type ServerMetrics, serverMetrics } from './metrics.ts';
import { Registration } from './registration.ts';
import { candidates, manifestPrefix, serverList, serversOf } from './site.ts';
import { firstWhole } from './sources.ts';
import { FarmView } from './view.ts';

const RELEASE = process.env['BOOTFARM_RELEASE'] ?? 'dev';
/** How often the list of servers and the load that devices see are brought up to date: two pings of a peer. */
const TICK_MS = 500;
/** A device counts as booting for so long after its first ATTACH. */
const BOOTING_MS = 60_000;
/** One thread serves ten gigabit from the page cache. */
const STREAM_THREADS = 1;

export async function startServer(config: ServerConfig, log: Logger): Promise<Result<FarmServer, Fault>> {
  const node = chooseAddress(config, process.env['NODE_ADDRESS']);
  if (!node.ok) return node;
  const ring = readKeys(config.keysDirectory);
  if (!ring.ok) return ring;
  const uri = readText(config.databaseUriFile);
  if (!uri.ok) return uri;
  const database = connect({ uri: uri.value, applicationName: `bootfarm server ${config.name}` });
  if (!database.ok) return fail(database.error.code, `${config.databaseUriFile}: ${database.error.message}`);
  mkdirSync(config.stateDirectory, { recursive: true });
  const journal = await openJournal(join(config.stateDirectory, 'journal'));
  if (!journal.ok) return journal;
  const keys = new Keys(config.keysDirectory, ring.value);
  const server = new FarmServer({
    config,
    node: node.value,
    keys,
    database: database.value,
    journal: journal.value,
    log,
  });
  await server.start();
  return ok(server);
}

function readText(path: string): Result<string, Fault<'FileUnreadable'>> {
  try {
    return ok(readFileSync(path, 'utf8').trim());
  } catch (error) {
    return fail('FileUnreadable', `${path}: ${errorMessage(error)}`);
  }
}

interface Parts {
  readonly config: ServerConfig;
  readonly node: NodeAddress;
  readonly keys: Keys;
  readonly database: Database;
  readonly journal: Journal;
  readonly log: Logger;
}

interface Listeners {
  readonly stream: Listener<StreamServer>;
  readonly http: Listener<HttpBoot>;
  readonly dhcp: Listener<ProxyDhcp>;
  readonly tftp: Listener<Tftp>;
  readonly peers: Listener<Peers>;
  readonly control: Listener<ControlServer>;
  readonly telemetry: Listener<TelemetryServer>;
}

export class FarmServer {
  readonly #parts: Parts;
  readonly #instance = randomBytes(8);
  readonly #data: FarmData;
  readonly #view: FarmView;
  readonly #copies: Copies;
  readonly #disks: Disks;
  readonly #logins: Logins;
  readonly #sessions: SessionWriter;
  readonly #metrics: ServerMetrics;
  readonly #listeners: Listeners;
  #registration: Registration | undefined;
  #timer: NodeJS.Timeout | undefined;
  #draining = false;
  #listVersion: number | undefined;

  constructor(parts: Parts) {
    const { config, database, journal, log } = parts;
    this.#parts = parts;
    const replica = openReplica({ socketPath: config.replicaSocket });
    this.#data = firstWhole(replica, databaseData(database));
    this.#view = new FarmView(this.#data, log);
    this.#copies = new Copies({
      server: config,
      storeRoots: config.storeRoots,
      stateDirectory: config.stateDirectory,
      snapshot: () => this.#view.snapshot,
      onServed: (copies) => void this.#disks.set(copies),
      log,
    });
    this.#disks = new Disks(async (entries) => this.#listeners.stream.value?.setDisks(entries), log);
    this.#logins = new Logins({
      self: () => ({ ...this.#load(), address: parts.node.address, site: config.site }),
      streamPort: config.ports.stream,
      view: this.#view,
      data: this.#data,
      database,
      replicaCheckedAt: () => replica.checkedAt(),
      alive: (name) => this.#alive(name),
      served: () => this.#copies.served,
    });
    this.#sessions = sessionWriter({ database, journal, server: config.name, log });
    this.#metrics = serverMetrics({
      stream: () => this.#listeners.stream.value?.counters(),
      devices: () => this.#served().length,
      booting: () => this.#booting(),
      loadPercent: () => this.#load().loadPercent,
      servedCopies: () => this.#copies.served.length,
      journalEntries: () => this.#sessions.journalEntries,
      databaseReachable: () => database.state.reachable,
    });
    this.#listeners = this.#makeListeners();
  }

  async start(): Promise<void> {
    const { config, node, database, log } = this.#parts;
    const { telemetry, control, peers } = this.#listeners;
    await Promise.all([telemetry.want(true), control.want(true), peers.want(true)]);
    this.#registration = new Registration(database, this.#row(), log);
    this.#view.onSnapshot(() => {
      this.#wantProtocols();
      void this.#copies.look();
    });
    await this.#view.read();
    await this.#copies.start();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    log.info({ server: config.name, address: node.address, interface: node.interface }, 'server started');
  }

  /** Sends every device elsewhere, waits until they are gone or the time is over, and ends. */
  async drain(): Promise<void> {
    const { config, log } = this.#parts;
    this.#draining = true;
    this.#tick();
    log.info({ devices: this.#served().length }, 'drain begins');
    await this.#listeners.stream.value?.drain(
      (session) => this.#elsewhere(session),
      config.drainTimeoutSeconds * 1_000,
    );
    log.info({ devices: this.#served().length }, 'drain ended');
    await this.close();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#registration?.close();
    const { telemetry, ...protocols } = this.#listeners;
    await Promise.all(Object.values(protocols).map((listener) => listener.close()));
    await this.#sessions.close();
    await this.#copies.close();
    await this.#disks.close();
    this.#view.close();
    await this.#data.close();
    await this.#parts.journal.close();
    await this.#parts.database.close();
    this.#parts.keys.close();
    await telemetry.close();
  }

  #row(): Server {
    const { config, node } = this.#parts;
    const { name, site, pool, powerRating, ports } = config;
    return {
      name,
      site,
      pool,
      powerRating,
      address: node.address,
      ports: { stream: ports.stream, http: ports.http, control: ports.control },
    };
  }

  #makeListeners(): Listeners {
    const { config, node, keys, database, log } = this.#parts;
    const { address } = node;
    const { ports, site } = config;
    const boot: BootOptions = {
      server: config.name,
      site,
      data: this.#data,
      view: this.#view,
      database,
      ring: keys.ring,
      log,
    };
    const listener = <T extends { close(): Promise<void> | void }>(
      name: string,
      start: () => Promise<Result<T, Fault>>,
    ) => new Listener(name, start, log);
    return {
      stream: listener('stream', async () => {
        const started = await startStreamServer({
          address,
          port: ports.stream,
          threads: STREAM_THREADS,
          ring: keys.ring,
          mode: this.#view.snapshot?.farm.mode ?? 'Authenticated',
          site,
          login: this.#logins.decide,
          onSession: (event) => this.#onSession(event),
          onFailure: (error) => {
            log.error({ error: error.message }, 'stream thread died');
            process.exit(1); // the kubelet starts a whole server anew; devices are on their stand-bys by then
          },
          log,
          native: 'auto',
        });
        if (!started.ok) return started;
        this.#listVersion = undefined;
        await started.value.setDisks(this.#disks.entries);
        return started;
      }),
      http: listener('http', () =>
        startHttpBoot({
          address,
          port: ports.http,
          decide: (machine) => decide(boot, machine),
          token: (decision, mac) => bootToken(boot, decision, mac),
          servers: () => this.#httpServers(),
          file: (vdisk, version, name) =>
            this.#copies.served.find((copy) => copy.vdisk === vdisk && copy.version === version)?.files.get(name),
          onEvent: (event) => this.#metrics.bootEvent('http', event.kind),
          log,
        }),
      ),
      dhcp: listener('dhcp', () =>
        startProxyDhcp({
          address,
          interface: node.interface,
          ports,
          httpPort: ports.http,
          bootstrap: () => this.#view.snapshot && bootstrapOf(this.#view.snapshot, site),
          verdict: (machine) => dhcpVerdict(boot, machine),
          onEvent: (event) => this.#metrics.bootEvent('dhcp', event.kind),
          log,
        }),
      ),
      tftp: listener('tftp', () =>
        startTftp({
          address,
          port: ports.tftp,
          open: bootFile,
          onEvent: (event) => this.#metrics.bootEvent('tftp', event.kind),
          log,
        }),
      ),
      peers: listener('peers', () =>
        startPeers({
          address,
          port: ports.control,
          ring: keys.ring,
          instance: this.#instance.readBigUInt64BE(),
          load: () => this.#load(),
          peers: () => this.#peerEndpoints(),
          log,
        }),
      ),
      control: listener('control', () =>
        startControl({ address, port: ports.control, tlsDirectory: config.tlsDirectory, status: () => this.#status() }),
      ),
      telemetry: listener('telemetry', () =>
        startTelemetry({
          host: process.env['NODE_ADDRESS'] ?? address,
          port: ports.telemetry,
          registry: this.#metrics.registry,
          ready: () => this.#missing(),
        }),
      ),
    };
  }

  /** The site says which protocols run. */
  #wantProtocols(): void {
    const { snapshot } = this.#view;
    const boot = snapshot && bootstrapOf(snapshot, this.#parts.config.site)?.boot;
    const { stream, http, dhcp, tftp } = this.#listeners;
    void stream.want(snapshot !== undefined);
    void http.want(boot?.http.enabled === true);
    void dhcp.want(boot?.proxyDHCP === true);
    void tftp.want(boot?.tftp === true);
  }

  #alive(name: string): PeerLoad | undefined {
    return this.#listeners.peers.value?.alive(name);
  }

  #peerEndpoints(): ReadonlyMap<string, Endpoint> {
    const { snapshot } = this.#view;
    const { name, site } = this.#parts.config;
    const others = snapshot ? serversOf(snapshot, site).filter((server) => server.name !== name) : [];
    return new Map(others.map((server) => [server.name, { host: server.address, port: server.ports.control }]));
  }

  /** This server first: the machine has just reached it. */
  #httpServers(): readonly Endpoint[] {
    const { config, node } = this.#parts;
    const { snapshot } = this.#view;
    const own = { host: node.address, port: config.ports.http };
    const site = snapshot && bootstrapOf(snapshot, config.site);
    return [own, ...(site?.httpServers ?? []).filter(({ host, port }) => host !== own.host || port !== own.port)];
  }

  #served(): readonly SessionSnapshot[] {
    return (this.#listeners.stream.value?.sessions() ?? []).filter(({ role }) => role === 'serve');
  }

  #booting(): number {
    const from = Date.now() - BOOTING_MS;
    return this.#served().filter(({ since }) => since > from).length;
  }

  #load(): PeerLoad {
    const { config, node } = this.#parts;
    const devices = this.#served().length;
    return {
      name: config.name,
      draining: this.#draining,
      loadPercent: Math.min(100, Math.round((devices / config.limits.maxDevices) * 100)),
      prefixLength: node.prefixLength,
      devices,
      booting: this.#booting(),
      powerRating: config.powerRating,
      maxDevices: config.limits.maxDevices,
      maxBooting: config.limits.maxBooting,
      manifests: this.#copies.served.map(({ manifest }) => manifestPrefix(manifest)),
    };
  }

  #tick(): void {
    const { snapshot } = this.#view;
    const stream = this.#listeners.stream.value;
    if (!snapshot || !stream) return;
    const load = this.#load();
    void stream.setLoad(load.loadPercent);
    const list = serverList(snapshot, { ...load, site: this.#parts.config.site }, (name) => this.#alive(name));
    if (list.version === this.#listVersion) return;
    this.#listVersion = list.version;
    void stream.setServers(list.version, list.entries);
  }

  /** Where a device goes that this server sends away; undefined: wherever its stand-by is. */
  #elsewhere({ device, vdisk: name, version, address }: SessionSnapshot): ServerEntry | undefined {
    const { snapshot } = this.#view;
    const { config, node } = this.#parts;
    const vdisk = snapshot?.vdisks.find((found) => found.name === name);
    const copy = this.#copies.served.find((found) => found.vdisk === name && found.version === version);
    if (!snapshot || !vdisk || !copy) return undefined;
    const self = { ...this.#load(), address: node.address, site: config.site };
    const others = candidates(snapshot, self, (peer) => this.#alive(peer), copy.manifest);
    const placed = place({ device, address: address.host, loadBalancing: vdisk.loadBalancing }, others);
    const server = placed.kind === 'server' && snapshot.servers.find((found) => found.name === placed.server);
    return server ? { host: server.address, port: server.ports.stream, state: 'Streaming' } : undefined;
  }

  #onSession({ type, device, vdisk, version, role, at, mac }: SessionEvent): void {
    const { config, log } = this.#parts;
    log.info({ event: type, device, mac, vdisk, version, role }, 'session');
    if (role !== 'serve' && type === 'attached') return;
    if (role === 'serve' && (type === 'attached' || type === 'role'))
      void this.#sessions.write({
        device,
        server: config.name,
        vdisk,
        version,
        since: at,
        epoch: at,
        protocol: 'stream',
      });
    else void this.#sessions.end(device, at);
  }

  #faults(): readonly ServerFault[] {
    const listeners = Object.values(this.#listeners).flatMap(({ fault }) => (fault ? [fault] : []));
    return this.#view.snapshot || !this.#view.fault ? listeners : [...listeners, this.#view.fault];
  }

  #status(): ServerStatus {
    const { config, node } = this.#parts;
    const { snapshot } = this.#view;
    const { devices, booting, loadPercent, powerRating } = this.#load();
    const bootstrap = snapshot && bootstrapOf(snapshot, config.site);
    return {
      name: config.name,
      instance: this.#instance.toString('hex'),
      release: RELEASE,
      site: config.site,
      pool: config.pool,
      address: node.address,
      state: this.#draining ? 'Draining' : this.#listeners.stream.value ? 'Streaming' : 'Starting',
      ...(bootstrap ? { bootstrapHash: bootstrapHash(bootstrap) } : {}),
      devices,
      booting,
      powerRating,
      loadPercent,
      journalEntries: this.#sessions.journalEntries,
      faults: this.#faults(),
      stores: this.#copies.stores,
      copies: this.#copies.reports,
    };
  }

  /** A server is ready when its data is loaded and each protocol answers a real request from itself. vDisks are judged one by one, elsewhere. */
  async #missing(): Promise<readonly string[]> {
    if (this.#draining) return ['draining'];
    const { snapshot } = this.#view;
    if (!snapshot) return [this.#view.fault?.message ?? 'the farm data is not loaded yet'];
    const { stream, dhcp, tftp } = this.#listeners;
    const faults = this.#faults().map(({ message }) => message);
    const [bootFileName = ''] = bootFileNames();
    const tests = await Promise.all([
      stream.value?.selfTest(),
      dhcp.value?.selfTest(),
      tftp.value?.selfTest(bootFileName),
    ]);
    return [...faults, ...tests.flatMap((test) => (test && !test.ok ? [test.error.message] : []))];
  }
}
