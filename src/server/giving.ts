/** How fast this server gives files to other servers: streaming comes first. */
import { readFileSync } from 'node:fs';
import type { Store } from '../farm/model.ts';

/** Of the link, while devices stream, where no Store says how much. */
const SHARE = 0.5;
/** Of a link that does not say how fast it is, as of virtual machines. */
const UNKNOWN_LINK_MBITS = 1_000;

/**
 * Bytes a second, of all that is given; undefined: no limit. `replication.bandwidth` is what one server takes; where all Stores have it, no more than their sum is
 * given. `linkMbits` undefined: nobody knows.
 */
export function giveBytesPerSecond(
  stores: readonly Pick<Store, 'replication'>[],
  devices: number,
  linkMbits: number | undefined,
): number | undefined {
  const said = stores.flatMap(({ replication }) => (replication ? [replication.bytesPerSecond] : []));
  const stated = said.filter((bytes) => bytes !== undefined);
  if (stated.length > 0 && stated.length === said.length) return stated.reduce((sum, bytes) => sum + bytes, 0);
  return devices === 0 ? undefined : ((linkMbits ?? UNKNOWN_LINK_MBITS) * 1_000_000 * SHARE) / 8;
}

/** Of an interface of this node, in Mb/s; undefined: it does not say. sysfs(5), `/sys/class/net/NAME/speed`. */
export function linkMbits(name: string): number | undefined {
  try {
    const mbits = Number(readFileSync(`/sys/class/net/${name}/speed`, 'utf8'));
    return mbits > 0 ? mbits : undefined;
  } catch {
    return undefined; // a loopback, or one that is down
  }
}

const FRESH_MS = 1_000;

/** What `make` says, at most a second old. */
export function lately<T>(make: () => T, now: () => number = () => performance.now()): () => T {
  let made: { readonly value: T; readonly atMs: number } | undefined;
  return () => {
    if (!made || now() - made.atMs > FRESH_MS) made = { value: make(), atMs: now() };
    return made.value;
  };
}
