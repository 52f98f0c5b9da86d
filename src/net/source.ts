/** Who may have sent a packet that wants an answer: the address and port that it came from, or that it names. Pure; reasons in README.md. */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { broadcastOf, kindOf, unmapped } from '../kit/address.ts';

export const BAD_SOURCES = ['PortZero', 'NotUnicast', 'Own', 'Loopback'] as const;
export type BadSource = (typeof BAD_SOURCES)[number];

export interface Source {
  /** IPv4 or IPv6, as `node:dgram` and `node:os` write it. */
  readonly address: string;
  readonly port: number;
}

/** Where an edge listens. */
export interface Own {
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
  /** Of the networks of these addresses. */
  readonly broadcasts: readonly string[];
  /** It hears the loopback network. */
  readonly loopback: boolean;
}

export type Interfaces = Readonly<
  Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'netmask'>[] | undefined>
>;

/** `address` may be 0.0.0.0 or `::`: then every address of the node is its own. */
export function ownOf(address: string, ports: readonly number[], interfaces: Interfaces = networkInterfaces()): Own {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const wildcard = kindOf(address) === 'unspecified';
  const mine = wildcard ? all : all.filter((one) => one.address === address);
  return {
    addresses: wildcard ? mine.map((one) => one.address) : [address],
    ports,
    broadcasts: mine.flatMap((one) => broadcastOf(one.address, one.netmask) ?? []),
    loopback: wildcard || kindOf(address) === 'loopback',
  };
}

/** Undefined: it may be answered. `unspecified`: 0.0.0.0 may be, as DHCP's machines have no address yet. */
export function badSource({ address, port }: Source, own: Own, unspecified = false): BadSource | undefined {
  if (port === 0) return 'PortZero';
  const plain = unmapped(address);
  const kind = kindOf(plain);
  if (kind === 'unspecified') return unspecified ? undefined : 'NotUnicast';
  if (kind === 'many' || own.broadcasts.includes(plain)) return 'NotUnicast';
  if (kind === 'loopback' && !own.loopback) return 'Loopback';
  return own.ports.includes(port) && own.addresses.includes(plain) ? 'Own' : undefined;
}
