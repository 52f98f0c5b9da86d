/** Which servers a device is told of where a site has more than its client, a packet or a script holds. Pure. */
import type { Endpoint } from './model.ts';

/** As many as LIST and TICKET name and the client keeps: `src/stream/wire.ts`, `target/src/wire.h`. */
export const MAX_LISTED_SERVERS = 20;

/**
 * The server that speaks first, then the others: all in their order, or where they are too many those that `rank` (lowest first) and then the
 * rendezvous hash of device and server put first. So each device knows other servers, every server tells it of the same ones, and one that joins
 * or leaves changes the list of few. `own` leads only if it is one of them.
 */
export function shortlist<T extends Endpoint>(
  device: string,
  servers: readonly T[],
  own?: Endpoint,
  rank: (server: T) => number = () => 0,
): readonly T[] {
  const leads = ({ host, port }: T): boolean => host === own?.host && port === own.port;
  const others = servers.filter((server) => !leads(server));
  const ordered = servers.length <= MAX_LISTED_SERVERS ? others : rendezvous(device, others, rank);
  return [...servers.filter(leads), ...ordered].slice(0, MAX_LISTED_SERVERS);
}

/** A list is made for a device whenever a server of the site comes or goes, in the thread that streams: 256 servers take it 0.1 ms. */
function rendezvous<T extends Endpoint>(device: string, servers: readonly T[], rank: (server: T) => number): T[] {
  const seed = fnv1a(device);
  return servers
    .map((server) => ({ server, rank: rank(server), weight: mixed(seed ^ fnv1a(`${server.host} ${server.port}`)) }))
    .sort((a, b) => a.rank - b.rank || b.weight - a.weight || (a.server.host < b.server.host ? -1 : 1))
    .map(({ server }) => server);
}

/** FNV-1a of 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** The last step of MurmurHash3: close inputs come far apart. */
function mixed(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
