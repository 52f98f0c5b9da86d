/** How large a packet may be that leaves by the interface of an address. Node tells no MTU: Linux does, in a file. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Interfaces } from './source.ts';

/** An MTU changes when a person changes the network. */
const LOOK_AGAIN_MS = 10_000;

export interface Interfaced {
  readonly interfaces: () => Interfaces;
  /** The text of the file that has the MTU of an interface. */
  readonly read: (name: string) => string;
}

const NODE: Interfaced = {
  interfaces: networkInterfaces,
  read: (name) => readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'),
};

/** As `readMtu`, read now, and again after a while. */
export function mtuOf(address: string, now: () => number, node: Interfaced = NODE): () => number | undefined {
  let atMs = Number.NEGATIVE_INFINITY;
  let mtu: number | undefined;
  const look = (): number | undefined => {
    const nowMs = now();
    if (nowMs - atMs < LOOK_AGAIN_MS) return mtu;
    atMs = nowMs;
    mtu = readMtu(address, node);
    return mtu;
  };
  look();
  return look;
}

/** In bytes, of the interface that has `address`; undefined where none has, or the kernel does not say. */
export function readMtu(address: string, { interfaces, read: text }: Interfaced = NODE): number | undefined {
  const found = Object.entries(interfaces()).find(([, list]) => list?.some((one) => one.address === address));
  if (!found) return undefined;
  try {
    // An alias is named with its label, `eth0:1`; the interface is before it.
    const bytes = Number(text(found[0].replace(/:.*$/, '')));
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
  } catch {
    return undefined;
  }
}
