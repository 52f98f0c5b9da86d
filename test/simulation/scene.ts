/** A scene: a farm, what its machine reads, and what goes wrong and when. All of it comes from the seed. */
import type { Random } from './random.ts';

/** Seen from the client: `to` a server, `from` it. */
export type Way = 'to' | 'from';

interface Span {
  readonly fromUs: number;
  readonly untilUs: number;
}

/** Of a server, by its place. */
export type ServerFault = { readonly server: number } & (
  | { readonly kind: 'crash' | 'drain' | 'pause' | 'hungDisk' | 'noCopy' | 'busy' | 'revoked' }
  | { readonly kind: 'slowDisk'; readonly delayUs: number }
  | { readonly kind: 'badDisk'; readonly from: number; readonly to: number }
);

/** Of the ways between the client and a server. */
export type WayFault = { readonly server: number; readonly ways: readonly Way[] } & (
  | { readonly kind: 'cut' }
  | { readonly kind: 'loss' | 'twice' | 'late' | 'corrupt' | 'forge'; readonly share: number }
  | { readonly kind: 'delay'; readonly delayUs: number }
  /** `bytes`: the MTU. */
  | { readonly kind: 'narrow'; readonly bytes: number }
);

export type ClientFault = { readonly kind: 'clientPause' | 'clientKill' | 'noHttp' };

export type Fault = Span & (ServerFault | WayFault | ClientFault);

export interface Read {
  readonly atUs: number;
  readonly offset: number;
  readonly length: number;
}

export interface Scene {
  readonly seed: number;
  readonly mode: 'Trusted' | 'Authenticated';
  readonly servers: number;
  readonly diskBytes: number;
  /** What the machine begins with: a boot token, or the ticket of a client before it. */
  readonly begins: 'token' | 'ticket';
  /** When that ticket is to be renewed. */
  readonly renewUs: number;
  /** The most data in a packet that the client's own interface takes, and a server's. */
  readonly segmentBytes: number;
  readonly serverSegmentBytes: number;
  /** There and back, by server; and by how much a packet is late by itself. */
  readonly tripsUs: readonly number[];
  readonly jitterUs: number;
  /** The MTU of all ways, for the whole scene. */
  readonly mtu: number;
  readonly reads: readonly Read[];
  readonly faults: readonly Fault[];
  /** When the last fault is over. */
  readonly healedUs: number;
}

const MTUS = [576, 1_280, 1_372, 1_500, 1_500, 1_500, 1_500, 9_000];
/** A TICKET of four servers is larger than 576 bytes: its fragments are not played. */
const LEAST_MTU_OF_TICKET = 1_280;
const SEGMENTS = [448, 1_408, 1_408, 1_408, 8_896];
const SERVER_KINDS = [
  'crash',
  'drain',
  'pause',
  'hungDisk',
  'noCopy',
  'busy',
  'revoked',
  'slowDisk',
  'badDisk',
] as const;
const WAY_KINDS = ['cut', 'loss', 'twice', 'late', 'corrupt', 'forge', 'delay', 'narrow'] as const;
const CLIENT_KINDS = ['clientPause', 'clientKill', 'noHttp'] as const;
type Kind = Fault['kind'];
/** A scene has a few kinds of fault, each of them more often: all kinds in all scenes would hide what two of them do together. */
const KINDS: readonly Kind[] = [...SERVER_KINDS, ...WAY_KINDS, ...CLIENT_KINDS];
const BOTH: readonly Way[] = ['to', 'from'];
const READS_AFTER = 4;

export function makeScene(seed: number, random: Random): Scene {
  const servers = random.between(2, 4);
  const diskBytes = random.of([16, 64, 256, 1_024]) << 10;
  const long = random.chance(0.05);
  const spanUs = long ? random.scale(8e6, 60e6) : random.scale(0.2e6, 3e6);
  const kinds = [...Array(random.between(1, 4))].map(() => random.of(KINDS));
  const faults = [...Array(random.between(1, 6))].flatMap(() => someFault(random, kinds, servers, diskBytes, spanUs));
  const healedUs = Math.max(Math.round(spanUs / 2), ...faults.map(({ untilUs }) => untilUs));
  const begins = random.chance(0.2) ? 'token' : 'ticket';
  return {
    seed,
    mode: random.of(['Trusted', 'Authenticated']),
    servers,
    diskBytes,
    begins,
    renewUs: random.chance(0.1) ? random.between(0, spanUs) : 3.5 * 86_400e6,
    segmentBytes: random.of(SEGMENTS),
    serverSegmentBytes: random.of(SEGMENTS),
    tripsUs: [...Array(servers)].map(() => random.scale(100, 30_000)),
    jitterUs: random.scale(1, 2_000),
    mtu: Math.max(random.of(MTUS), begins === 'token' ? LEAST_MTU_OF_TICKET : 0),
    reads: someReads(random, diskBytes, healedUs),
    faults,
    healedUs,
  };
}

function someReads(random: Random, diskBytes: number, healedUs: number): Read[] {
  const mostBytes = random.of([2_048, 4_096, 4_096, 4_096, 4_096, 16_384, 16_384, 131_072]);
  const count = mostBytes > 100_000 ? random.between(1, 5) : random.between(4, 20);
  const before = [...Array(count)].map(() => random.between(0, healedUs));
  const after = [...Array(READS_AFTER)].map(() => healedUs + random.scale(1, 500_000));
  return [...before, ...after]
    .sort((a, b) => a - b)
    .map((atUs) => {
      const sectors = diskBytes / 512;
      const length = Math.min(random.between(1, mostBytes / 512), sectors);
      return { atUs, offset: random.between(0, sectors - length) * 512, length: length * 512 };
    });
}

/** One fault of these kinds; now and then the same one of all servers. */
function someFault(
  random: Random,
  kinds: readonly Kind[],
  servers: number,
  diskBytes: number,
  spanUs: number,
): Fault[] {
  const fromUs = random.between(0, spanUs);
  const span = { fromUs, untilUs: fromUs + random.scale(10_000, spanUs) };
  const kind = random.of(kinds);
  const of = random.chance(0.25) ? [...Array(servers).keys()] : [random.between(0, servers - 1)];
  if (isOf(CLIENT_KINDS, kind)) return [{ ...span, kind }];
  const make = isOf(SERVER_KINDS, kind) ? serverFault(kind, random, diskBytes) : wayFault(kind, random);
  return of.map((server) => ({ ...span, ...make(server) }));
}

const isOf = <T extends string>(kinds: readonly T[], kind: string): kind is T => kinds.some((one) => one === kind);

function serverFault(
  kind: (typeof SERVER_KINDS)[number],
  random: Random,
  diskBytes: number,
): (server: number) => ServerFault {
  switch (kind) {
    case 'slowDisk': {
      const delayUs = random.scale(1_000, 2e6);
      return (server) => ({ kind, server, delayUs });
    }
    case 'badDisk': {
      const [from, to] = random.chance(0.3) ? [0, diskBytes] : [random.between(0, diskBytes), diskBytes];
      return (server) => ({ kind, server, from, to });
    }
    default:
      return (server) => ({ kind, server });
  }
}

function wayFault(kind: (typeof WAY_KINDS)[number], random: Random): (server: number) => WayFault {
  const ways: readonly Way[] = random.of([BOTH, BOTH, ['to'], ['from']]);
  switch (kind) {
    case 'cut':
      return (server) => ({ kind, server, ways });
    case 'delay': {
      const delayUs = random.scale(1_000, 1e6);
      return (server) => ({ kind, server, ways, delayUs });
    }
    case 'narrow': {
      const bytes = random.of([576, 1_280, 1_372, 1_450]);
      return (server) => ({ kind, server, ways, bytes });
    }
    default: {
      const share = random.scale(5, 700) / 1_000;
      return (server) => ({ kind, server, ways, share });
    }
  }
}
