/** The listeners of a server: each protocol with what it asks of the rest, and when it is wanted. */
import type { PeerLoad } from '../control/peer.ts';
import { type Peers, startPeers } from '../control/peers.ts';
import { type ControlServer, startControl } from '../control/server.ts';
import type { ServerStatus } from '../control/status.ts';
import { type ProxyDhcp, startProxyDhcp } from '../dhcp/server.ts';
import type { Exports } from '../export/exports.ts';
import { bootstrapOf } from '../farm/bootstrap.ts';
import type { FarmData } from '../farm/data.ts';
import { offersStore } from '../farm/files.ts';
import type { FarmSnapshot } from '../farm/model.ts';
import { type HttpBoot, startHttpBoot } from '../httpboot/server.ts';
import type { Fault, Result } from '../kit/result.ts';
import { counterAt } from '../stream/counters.ts';
import { type StreamServer, startStreamServer } from '../stream/server.ts';
import type { SessionEvent } from '../stream/shard.ts';
import { type Readiness, startTelemetry, type TelemetryServer } from '../telemetry/health.ts';
import { STREAM_PATIENCE_MS } from '../telemetry/limits.ts';
import type { Thread } from '../telemetry/turns.ts';
import { startTftp, type Tftp } from '../tftp/server.ts';
import type { Holdings } from '../transfer/holdings.ts';
import type { AutoAdd } from './autoadd.ts';
import type { BadCopies } from './badcopies.ts';
import { type BootOptions, bootToken, decide, dhcpVerdict, lookUp, tftpMayAnswer } from './boot.ts';
import { bootFile } from './bootfiles.ts';
import type { Boots } from './boots.ts';
import type { Copies } from './copies.ts';
import { giveBytesPerSecond, lately, linkMbits } from './giving.ts';
import type { Thrown } from './guard.ts';
import { type Closable, Listener } from './listener.ts';
import type { Logins } from './login.ts';
import type { ServerMetrics } from './metrics.ts';
import type { Names } from './names.ts';
import type { Parts } from './parts.ts';
import { httpServers, loginServers, peerEndpoints, serversOf } from './site.ts';
import type { Uuids } from './uuids.ts';
import type { FarmView } from './view.ts';

/** One thread serves ten gigabit from the page cache. */
const STREAM_THREADS = 1;

export interface Listeners {
  readonly stream: Listener<StreamServer>;
  readonly http: Listener<HttpBoot>;
  readonly dhcp: Listener<ProxyDhcp>;
  readonly tftp: Listener<Tftp>;
  readonly peers: Listener<Peers>;
  readonly control: Listener<ControlServer>;
  readonly telemetry: Listener<TelemetryServer>;
}

export interface ListenersOptions {
  readonly instance: Buffer;
  readonly data: FarmData;
  readonly view: FarmView;
  readonly copies: Copies;
  readonly held: Holdings;
  readonly exports: Exports;
  readonly logins: Logins;
  readonly names: Names;
  readonly metrics: ServerMetrics;
  readonly autoAdd: AutoAdd;
  readonly uuids: Uuids;
  readonly boots: Boots;
  readonly load: () => PeerLoad;
  readonly status: () => ServerStatus;
  readonly ready: Readiness;
  readonly macOf: (address: string) => Promise<string | undefined>;
  readonly onSession: (event: SessionEvent) => void;
  readonly onBadCopy: BadCopies['told'];
}

/** The farm and the site say which protocols run; the mode of the stream is fixed when its sockets open. */
export function wantProtocols({ stream, http, dhcp, tftp }: Listeners, snapshot: FarmSnapshot, site: string): void {
  const boot = bootstrapOf(snapshot, site)?.boot;
  void stream.want(true, snapshot.farm.mode);
  void http.want(boot?.http.enabled === true);
  void dhcp.want(boot?.proxyDHCP === true);
  void tftp.want(boot?.tftp === true);
}

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a table, one entry a protocol
export function makeListeners({ config, node, keys, log }: Parts, options: ListenersOptions): Listeners {
  const { data, view, copies, exports, logins, names, metrics, autoAdd, uuids, boots } = options;
  const { address } = node;
  /** What the cluster asks is asked there, whatever network devices are on. */
  const nodeAddress = process.env['NODE_ADDRESS'] ?? address;
  const { ports, site } = config;
  const boot: BootOptions = { site, data, view, ring: keys.ring, autoAdd, uuids };
  const { heard } = autoAdd;
  /** Asked for at each MiB that is given. */
  const giving = lately((): number | undefined => {
    const stores = view.snapshot?.stores.filter((store) => offersStore(store, config)) ?? [];
    return giveBytesPerSecond(stores, options.load().devices, linkMbits(node.interface));
  });
  const listener = <T extends Closable>(
    name: string,
    start: (thrown: Thrown) => Promise<Result<T, Fault>>,
    onStarted?: (value: T) => Promise<void>,
  ) => new Listener(name, start, log, onStarted);
  const threads = (): readonly Thread[] =>
    (listeners.stream.value?.threads() ?? []).map((cells, index) => ({
      name: `stream thread ${index}`,
      patienceMs: STREAM_PATIENCE_MS,
      cells,
      at: counterAt('turns'),
    }));
  const listeners: Listeners = {
    stream: listener(
      'stream',
      (thrown) =>
        startStreamServer({
          address,
          port: ports.stream,
          threads: STREAM_THREADS,
          ring: keys.ring,
          mode: view.snapshot?.farm.mode ?? 'Authenticated',
          site,
          login: async (request) => {
            const began = performance.now();
            const answer = await logins.decide(request);
            metrics.loggedIn(answer, (performance.now() - began) / 1_000);
            boots.login(request, answer);
            return answer;
          },
          onRead: metrics.read,
          onSession: options.onSession,
          onBadCopy: options.onBadCopy,
          onFailure: thrown, // a thread died; devices are on their stand-bys by then
          log,
          native: 'auto',
        }),
      (stream) => stream.setExports(exports.list),
    ),
    http: listener('http', () =>
      startHttpBoot({
        address,
        port: ports.http,
        decide: async (machine) => {
          const decided = await decide(boot, machine);
          metrics.booted(decided.ok ? decided.value : undefined);
          return decided;
        },
        lookUp: (machine) => lookUp(boot, machine),
        token: (decision, mac) => bootToken(boot, decision, mac),
        loginServers: (decision) =>
          loginServers(decision, { host: address, port: ports.stream }, names, serversOf(view.snapshot, site)),
        servers: () => httpServers(view.snapshot, site, { host: address, port: ports.http }),
        file: (vdisk, version, name) => copies.find(vdisk, version)?.files.get(name),
        onEvent: (event) => {
          metrics.bootEvent('http', event.kind);
          boots.http(event);
        },
        log,
      }),
    ),
    dhcp: listener('dhcp', () =>
      startProxyDhcp({
        address,
        interface: node.interface,
        ports,
        httpPort: ports.http,
        bootstrap: () => view.snapshot && bootstrapOf(view.snapshot, site),
        verdict: (machine) => dhcpVerdict(boot, machine),
        onEvent: (event) => {
          metrics.bootEvent('dhcp', event.kind);
          boots.dhcp(event);
          if (event.kind === 'answered') heard.byDhcp(event.machine.mac, performance.now());
        },
        onBadSource: metrics.badSource('dhcp'),
        log,
      }),
    ),
    tftp: listener('tftp', () =>
      startTftp({
        address,
        port: ports.tftp,
        open: bootFile,
        maxBlockBytes: () => view.snapshot && bootstrapOf(view.snapshot, site)?.boot.tftpMaxBlockSize,
        mayAnswer: (from) => tftpMayAnswer(boot, options.macOf, from),
        onEvent: (event) => {
          metrics.bootEvent('tftp', event.kind);
          boots.tftp(event);
          if (event.kind === 'ended' && event.outcome === 'Completed') heard.byTftp(event.address, performance.now());
        },
        onBadSource: metrics.badSource('tftp'),
        log,
      }),
    ),
    peers: listener('peers', () =>
      startPeers({
        address,
        port: ports.control,
        ring: keys.ring,
        instance: options.instance.readBigUInt64BE(),
        load: options.load,
        peers: () => peerEndpoints(view.snapshot, config),
        onBadSource: metrics.badSource('peers'),
        log,
      }),
    ),
    control: listener('control', () =>
      startControl({
        address: nodeAddress,
        port: ports.control,
        tlsDirectory: config.tlsDirectory,
        status: options.status,
        holdings: options.held,
        giveLimits: () => ({ bytesPerSecond: giving() }),
        boots,
      }),
    ),
    telemetry: listener('telemetry', () =>
      startTelemetry({
        host: nodeAddress,
        port: ports.telemetry,
        registry: metrics.registry,
        ready: options.ready,
        threads,
        log,
      }),
    ),
  };
  return listeners;
}
