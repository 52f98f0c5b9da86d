/** The servers of this site as candidates for placement and as the list that devices get: this one, and its peers by their pings. Pure. */
import { createHash } from 'node:crypto';
import type { PeerLoad } from '../control/peer.ts';
import type { BootDecision } from '../farm/boot.ts';
import { bootstrapOf } from '../farm/bootstrap.ts';
import { keepsCopy } from '../farm/files.ts';
import type { Endpoint, FarmSnapshot, Server } from '../farm/model.ts';
import { isLeft } from '../farm/moving.ts';
import { type Candidate, place } from '../farm/place.ts';
import { shortlist } from '../farm/shortlist.ts';
import type { ServerEntry } from '../stream/packet.ts';
import type { SessionSnapshot } from '../stream/server.ts';
import type { Names } from './names.ts';

/** This server as it is now. */
export type Self = PeerLoad & Where & { readonly address: string };
type Where = Pick<Server, 'name' | 'site' | 'pool'>;

export const manifestPrefix = (manifest: string): string => manifest.slice(0, 16);

export const serversOf = (snapshot: FarmSnapshot | undefined, site: string): readonly Server[] =>
  snapshot?.servers.filter((server) => server.site === site) ?? [];

/** `self` stands for this server whether the replica shows it already or not. */
export function candidates(
  snapshot: FarmSnapshot,
  self: Self,
  alive: (name: string) => PeerLoad | undefined,
  manifest: string,
): readonly Candidate[] {
  const named = new Set(
    snapshot.versions.flatMap(({ vdisk, content }) => (content?.manifest === manifest ? [vdisk] : [])),
  );
  const vdisks = snapshot.vdisks.filter(({ name }) => named.has(name));
  const isSurplus = (server: Where): boolean =>
    vdisks.length > 0 &&
    vdisks.every((vdisk) => !keepsCopy(vdisk, server.name) || isLeft(vdisk, server, snapshot.stores));
  const of = (load: PeerLoad, server: Where, address: string): Candidate => ({
    ...load,
    address,
    alive: true,
    isSurplus: isSurplus(server),
    holdsCopy: load.manifests.includes(manifestPrefix(manifest)),
  });
  const peers = serversOf(snapshot, self.site)
    .filter(({ name }) => name !== self.name)
    .map((server): Candidate => {
      const load = alive(server.name);
      return load ? of(load, server, server.address) : silent(server);
    });
  return [of(self, self, self.address), ...peers];
}

const silent = (server: Server): Candidate => ({
  name: server.name,
  address: server.address,
  prefixLength: 32,
  alive: false,
  draining: false,
  devices: 0,
  booting: 0,
  powerRating: server.powerRating,
  maxDevices: 0,
  maxBooting: 0,
  holdsCopy: false,
});

export interface ServerList {
  /** Compared for equality only: a hash of the entries, the same on every server that sees the same. */
  readonly version: number;
  readonly entries: readonly ServerEntry[];
}

/** Those that answer first. */
const ORDER = { Streaming: 0, Draining: 1, Unreachable: 2, Unknown: 3 };

/** All of the site; which of them a device is told is said by `listFor`. */
export function serverList(
  snapshot: FarmSnapshot,
  self: { readonly name: string; readonly site: string; readonly draining: boolean },
  alive: (name: string) => PeerLoad | undefined,
): ServerList {
  const stateOf = ({ name }: Server): ServerEntry['state'] => {
    if (name === self.name) return self.draining ? 'Draining' : 'Streaming';
    const load = alive(name);
    return load ? (load.draining ? 'Draining' : 'Streaming') : 'Unreachable';
  };
  const entries = serversOf(snapshot, self.site)
    .map((server): ServerEntry => ({ host: server.address, port: server.ports.stream, state: stateOf(server) }))
    .sort((a, b) => ORDER[a.state] - ORDER[b.state] || (a.host < b.host ? -1 : 1));
  return { version: createHash('sha256').update(JSON.stringify(entries)).digest().readUInt32BE(), entries };
}

/** What TICKET tells a device: the server that gives it first. */
export function listFor(device: string, list: ServerList, own: ServerEntry): readonly ServerEntry[] {
  const others = list.entries.filter(({ host, port }) => host !== own.host || port !== own.port);
  return shortlist(device, [own, ...others], own, ({ state }) => ORDER[state]);
}

/** Where the peers of this server listen, by name. */
export function peerEndpoints(
  snapshot: FarmSnapshot | undefined,
  self: { readonly name: string; readonly site: string },
): ReadonlyMap<string, Endpoint> {
  const others = serversOf(snapshot, self.site).filter(({ name }) => name !== self.name);
  return new Map(others.map(({ name, address, ports }) => [name, { host: address, port: ports.control }]));
}

/** Where a device may log in: the servers that the site names, by their addresses, or its registered ones; this server first if it is one. */
export async function loginServers(
  { device, bootstrap }: Extract<BootDecision, { kind: 'boot' }>,
  own: Endpoint,
  names: Names,
  registered: readonly Server[],
): Promise<readonly Endpoint[]> {
  const named = await names.resolve(bootstrap.boot.loginServers);
  const all =
    named.length > 0 ? named : registered.map(({ address, ports }) => ({ host: address, port: ports.stream }));
  return shortlist(device.name, all, own);
}

/** This server first: the machine has just reached it. */
export function httpServers(snapshot: FarmSnapshot | undefined, site: string, own: Endpoint): readonly Endpoint[] {
  const all = (snapshot && bootstrapOf(snapshot, site)?.httpServers) ?? [];
  return [own, ...all.filter(({ host, port }) => host !== own.host || port !== own.port)];
}

/** Where a device goes that this server sends away; undefined: wherever its stand-by is. */
export function elsewhere(
  snapshot: FarmSnapshot,
  self: Self,
  alive: (name: string) => PeerLoad | undefined,
  manifest: string,
  { device, vdisk, address }: Pick<SessionSnapshot, 'device' | 'vdisk' | 'address'>,
): ServerEntry | undefined {
  const loadBalancing = snapshot.vdisks.find(({ name }) => name === vdisk)?.loadBalancing;
  if (!loadBalancing) return undefined;
  const placed = place({ device, address: address.host, loadBalancing }, candidates(snapshot, self, alive, manifest));
  const server = placed.kind === 'server' && snapshot.servers.find(({ name }) => name === placed.server);
  return server ? { host: server.address, port: server.ports.stream, state: 'Streaming' } : undefined;
}
