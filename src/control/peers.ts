/** The socket of the peer pings: one UDP port, a tick each 250 ms to every registered server of the site. */

import { hkdfSync, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import type { Endpoint } from '../farm/model.ts';
import { ok, type Result } from '../kit/result.ts';
import type { KeyRing } from '../kit/seal.ts';
import { hear } from '../net/hear.ts';
import { type ListenFault, listenUdp } from '../net/listen.ts';
import { type BadSource, ownOf, type Source } from '../net/source.ts';
import type { Logger } from '../telemetry/log.ts';
import { paced } from '../telemetry/paced.ts';
import { clockFault } from './clock.ts';
import {
  decodePing,
  echoFor,
  encodePing,
  heard,
  isAlive,
  type OwnToken,
  type Peer,
  type PeerLoad,
  PING_INTERVAL_MS,
  TOKENS_KEPT,
} from './peer.ts';
import type { ServerFault } from './status.ts';

export interface Peers {
  /** Load of a peer that proved to be alive within the last 1.25 s. */
  alive(name: string): PeerLoad | undefined;
  /** Of this server's clock, against those of its peers. */
  clockFault(): ServerFault | undefined;
  close(): void;
}

export interface PeersOptions {
  readonly address: string;
  readonly port: number;
  readonly ring: () => KeyRing;
  readonly instance: bigint;
  /** This server's own load, asked at each tick. */
  readonly load: () => PeerLoad;
  /** Control endpoints of the site's other registered servers by name, asked at each tick. */
  readonly peers: () => ReadonlyMap<string, Endpoint>;
  readonly onBadSource?: (why: BadSource) => void;
  readonly log: Logger;
}

export const peerKey = (key: Uint8Array): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', key, new Uint8Array(0), 'bootfarm peer 1', 32));

export async function startPeers(options: PeersOptions): Promise<Result<Peers, ListenFault>> {
  const { address, port } = options;
  const instead = 'choose another ports.control of the StreamingServer';
  const opened = await listenUdp(createSocket('udp4'), { protocol: 'UDP', address, port, instead });
  if (!opened.ok) return opened;
  const socket = opened.value;
  const known = new Map<string, Peer>();
  let tokens: readonly OwnToken[] = [];
  let counter = 0n;
  /** This server's name, of the last tick: a load costs a look at every session, too much for each packet. */
  let self = '';
  /** Nobody else is listened to: a look at an address costs a hundredth of a tag. */
  let sources: ReadonlySet<string> = new Set();
  let keys = new Map<Uint8Array, Uint8Array>();

  const derived = (key: Uint8Array): Uint8Array => {
    const found = keys.get(key) ?? peerKey(key);
    keys.set(key, found);
    return found;
  };

  const take = (bytes: Buffer, { address, port }: Source): void => {
    if (!sources.has(`${address} ${port}`)) return;
    for (const key of options.ring().keys.values()) {
      const decoded = decodePing(bytes, derived(key), self);
      if (!decoded.ok) continue;
      const ping = decoded.value;
      const now = { monotonicMs: performance.now(), wallMs: Date.now() };
      known.set(ping.name, heard(known.get(ping.name), ping, tokens, now));
      return;
    }
    options.log.debug({ bytes: bytes.length }, 'peer ping dropped');
  };

  const tick = (): void => {
    const ring = options.ring();
    const key = ring.keys.get(ring.current);
    if (!key) return;
    const [token, wallMs] = [randomBytes(8).readBigUInt64BE(), Date.now()];
    counter += 1n;
    tokens = [{ token, wallMs }, ...tokens].slice(0, TOKENS_KEPT);
    keys = new Map([...keys].filter(([farmKey]) => [...ring.keys.values()].includes(farmKey)));
    const load = options.load();
    self = load.name;
    const peers = new Map([...options.peers()].filter(([, endpoint]) => isSendable(endpoint)));
    sources = new Set([...peers.values()].map(({ host, port }) => `${host} ${port}`));
    for (const name of known.keys()) if (!peers.has(name)) known.delete(name);
    for (const [name, { host, port }] of peers) {
      const echo = echoFor(known.get(name), Number(counter), performance.now());
      const ping = { ...load, instance: options.instance, token, echo, counter, wallMs };
      socket.send(encodePing(ping, derived(key), name), port, host, () => {}); // an unreachable peer is told by its silence
    }
  };

  const failed = paced((fields, message) => options.log.warn(fields, message), 'peer socket failed');
  socket.on('error', (error) => failed({ error: error.message }));
  hear(socket, { own: ownOf(address, [port]), onBadSource: options.onBadSource }, take);
  let timer: NodeJS.Timeout | undefined = setInterval(tick, PING_INTERVAL_MS);
  return ok({
    alive: (name) => {
      const peer = known.get(name);
      return isAlive(peer, performance.now()) ? peer?.proven?.load : undefined;
    },
    clockFault: () => {
      const now = performance.now();
      const skews = [...known].flatMap(([name, peer]) =>
        peer.proven && isAlive(peer, now) ? [{ name, skewMs: peer.proven.skewMs }] : [],
      );
      return clockFault(self, skews);
    },
    close: () => {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      socket.close();
    },
  });
}

/** A row says where a server is; a bad one costs that peer, not this socket: `send` throws at a port that is none. */
const isSendable = ({ host, port }: Endpoint): boolean => isIPv4(host) && port > 0 && port < 65_536;
