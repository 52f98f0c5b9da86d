/** Placement: which server of the site streams to a device. Design §8. Pure, and not in terms of UDP: its answer can become any protocol's redirect. */
import { createHash } from 'node:crypto';
import { sameSubnet } from '../kit/address.ts';
import type { LoadBalancing } from './model.ts';

/** A server of the site as the placing server sees it: itself, or a peer by its last ping. */
export interface Candidate {
  readonly name: string;
  readonly address: string;
  /** Of the network that the server answers on, in bits. */
  readonly prefixLength: number;
  readonly alive: boolean;
  readonly draining: boolean;
  readonly devices: number;
  readonly booting: number;
  readonly powerRating: number;
  readonly maxDevices: number;
  readonly maxBooting: number;
  /** Does it hold an UpToDate copy of the version? */
  readonly holdsCopy: boolean;
  /** That copy is more than the vDisk wants, and goes when nobody uses it: whoever else may serve goes first. */
  readonly isSurplus?: boolean;
}

export interface PlacementRequest {
  readonly device: string;
  /** Where the device asks from. */
  readonly address: string;
  readonly loadBalancing: LoadBalancing;
}

export type Placement =
  | { readonly kind: 'server'; readonly server: string }
  | {
      readonly kind: 'refused';
      readonly reason: PlacementReason;
      readonly message: string;
      readonly retryAfterMs: number;
    };

export type PlacementReason =
  | 'NoServerAlive'
  | 'PinnedElsewhere'
  | 'AllDraining'
  | 'NoCopy'
  | 'OtherSubnet'
  | 'AllFull'
  | 'AllBooting';

/** How long a device waits before it asks again: long enough for a ping (250 ms) to tell, short against a boot. */
const RETRY_MS = 5_000;
const BOOTING_RETRY_MS = 2_000;

interface Rule {
  readonly reason: PlacementReason;
  readonly retryAfterMs: number;
  readonly keeps: (server: Candidate, request: PlacementRequest) => boolean;
  readonly message: (request: PlacementRequest, left: readonly Candidate[]) => string;
}

const names = (servers: readonly Candidate[]): string => servers.map((server) => server.name).join(', ');

/** In this order; the first that leaves no server is the reason of the refusal. */
const RULES: readonly Rule[] = [
  {
    reason: 'PinnedElsewhere',
    retryAfterMs: RETRY_MS,
    keeps: (server, { loadBalancing }) => !('server' in loadBalancing) || loadBalancing.server === server.name,
    message: ({ loadBalancing }) =>
      `the vDisk is pinned to server ${'server' in loadBalancing ? loadBalancing.server : ''}, which this site does not have: change loadBalancing.server of the VDisk`,
  },
  {
    reason: 'NoServerAlive',
    retryAfterMs: RETRY_MS,
    keeps: (server) => server.alive,
    message: (_, left) => `no server answers its peers: ${names(left) || 'the site has none'}`,
  },
  {
    reason: 'AllDraining',
    retryAfterMs: RETRY_MS,
    keeps: (server) => !server.draining,
    message: (_, left) => `every server is draining: ${names(left)}`,
  },
  {
    reason: 'NoCopy',
    retryAfterMs: RETRY_MS,
    keeps: (server) => server.holdsCopy,
    message: (_, left) => `no server has an UpToDate copy: ${names(left)} have none; see status.copies of the VDisk`,
  },
  {
    reason: 'OtherSubnet',
    retryAfterMs: RETRY_MS,
    keeps: (server, { loadBalancing, address }) =>
      'server' in loadBalancing ||
      loadBalancing.subnetAffinity !== 'Fixed' ||
      sameSubnet(address, server.address, server.prefixLength),
    message: ({ address }, left) => `subnetAffinity is Fixed and ${address} is in no subnet of ${names(left)}`,
  },
  {
    reason: 'AllFull',
    retryAfterMs: RETRY_MS,
    keeps: (server) => server.devices < server.maxDevices,
    message: (_, left) =>
      `at limits.maxDevices: ${left.map((s) => `${s.name} ${s.devices} of ${s.maxDevices}`).join(', ')}`,
  },
  {
    reason: 'AllBooting',
    retryAfterMs: BOOTING_RETRY_MS,
    keeps: (server) => server.booting < server.maxBooting,
    message: (_, left) =>
      `at limits.maxBooting: ${left.map((s) => `${s.name} ${s.booting} of ${s.maxBooting}`).join(', ')}`,
  },
];

/** The lowest (devices + 1) / power rating wins; ties by a hash of device and server, so that servers agree without talking. */
export function place(request: PlacementRequest, servers: readonly Candidate[]): Placement {
  let left = servers;
  for (const rule of RULES) {
    const kept = left.filter((server) => rule.keeps(server, request));
    if (kept.length === 0)
      return {
        kind: 'refused',
        reason: rule.reason,
        message: rule.message(request, left),
        retryAfterMs: rule.retryAfterMs,
      };
    left = kept;
  }
  const wanted = left.filter(({ isSurplus }) => !isSurplus);
  if (wanted.length > 0) left = wanted;
  const near = left.filter((server) => sameSubnet(request.address, server.address, server.prefixLength));
  const bestEffort = 'subnetAffinity' in request.loadBalancing && request.loadBalancing.subnetAffinity === 'BestEffort';
  const ranked = (bestEffort && near.length > 0 ? near : left)
    .map((server) => ({
      server,
      busy: (server.devices + 1) / server.powerRating,
      tie: rank(request.device, server.name),
    }))
    .sort((a, b) => a.busy - b.busy || (a.tie < b.tie ? -1 : 1));
  return { kind: 'server', server: ranked[0]?.server.name ?? '' };
}

/** Rendezvous hash (Thaler and Ravishankar 1998): each pair has its own rank. */
const rank = (device: string, server: string): string =>
  createHash('sha256').update(device).update('\0').update(server).digest('hex');
