/** The answer to a login: serve the device here, send it to another server, or refuse with a reason. Pure. */
import type { FarmSnapshot } from './model.ts';
import { type Candidate, type PlacementReason, place } from './place.ts';
import { type KnownDevice, refusalOf } from './refusal.ts';
import type { BootToken } from './token.ts';

export interface LoginRequest {
  readonly token: BootToken;
  /** Where it comes from. */
  readonly address: string;
  /** Another server of the site placed it here. */
  readonly redirected: boolean;
  /** It streams already, and asks for a ticket that lives on: it may or may not, and it stays where it is. */
  readonly renew: boolean;
}

export interface LoginFacts {
  readonly snapshot: FarmSnapshot;
  /** This server's name; it is among the candidates. */
  readonly self: string;
  readonly candidates: readonly Candidate[];
  /** A device that the data does not show yet is known by its token. */
  readonly known: KnownDevice;
  readonly databaseReachable: boolean;
  /** Milliseconds since the replica was last known to be whole; 0 while the database is reachable. */
  readonly replicaAgeMs: number;
}

export type LoginDecision =
  | { readonly kind: 'serve' }
  | { readonly kind: 'redirect'; readonly server: string }
  | Refuse;

interface Refuse {
  readonly kind: 'refuse';
  readonly code: 'UnknownDevice' | 'TokenInvalid' | 'NoServer' | 'Busy' | 'Draining' | 'Offline';
  /** Of placement, where that is who refused. */
  readonly reason?: PlacementReason;
  readonly message: string;
  readonly retryAfterMs: number;
}

const RETRY_MS = 10_000;

export function decideLogin({ token, address, redirected, renew }: LoginRequest, facts: LoginFacts): LoginDecision {
  const { snapshot, self, candidates } = facts;
  const refuse = (code: Refuse['code'], message: string, retryAfterMs = RETRY_MS): Refuse => ({
    kind: 'refuse',
    code,
    message,
    retryAfterMs,
  });

  const site = snapshot.servers.find(({ name }) => name === self)?.site;
  const vdisk = snapshot.vdisks.find(({ name }) => name === token.vdisk);
  const { offline, suspend, name: farm } = snapshot.farm;
  if (site !== undefined && token.site !== site)
    return refuse('TokenInvalid', `the token is for site ${token.site}, this server is of site ${site}`, 0);
  const refusal = refusalOf(token, facts.known, snapshot);
  if (refusal) return refuse(refusal.code, refusal.message);
  if (suspend) return refuse('NoServer', `farm ${farm} is suspended`);
  if (!facts.databaseReachable && !offline.enabled)
    return refuse('Offline', `the farm database is away and spec.offline.enabled of farm ${farm} is false`);
  if (facts.replicaAgeMs > offline.maxAgeSeconds * 1_000)
    return refuse('Offline', `the replica is older than spec.offline.maxAge of farm ${farm}`);
  if (renew) return { kind: 'serve' };

  const loadBalancing = vdisk?.loadBalancing ?? ({ algorithm: 'LeastBusy', subnetAffinity: 'None' } as const);
  const request = { device: token.device, address, loadBalancing };
  const own = candidates.filter(({ name }) => name === self);
  if (redirected && place(request, own).kind === 'server') return { kind: 'serve' };
  const placement = place(request, candidates);
  if (placement.kind === 'server')
    return placement.server === self ? { kind: 'serve' } : { kind: 'redirect', server: placement.server };
  const { reason, message, retryAfterMs } = placement;
  return { ...refuse(reason === 'AllBooting' ? 'Busy' : 'NoServer', message, retryAfterMs), reason };
}
