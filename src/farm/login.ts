/** The answer to a login: serve the device here, send it to another server, or refuse with a reason. Pure. */
import type { FarmSnapshot } from './model.ts';
import { type Candidate, place } from './place.ts';
import type { BootToken } from './token.ts';

export interface LoginRequest {
  readonly token: BootToken;
  /** Where it comes from. */
  readonly address: string;
  /** Another server of the site placed it here. */
  readonly redirected: boolean;
}

export interface LoginFacts {
  readonly snapshot: FarmSnapshot;
  /** This server's name; it is among the candidates. */
  readonly self: string;
  readonly candidates: readonly Candidate[];
  /** False when the farm's data says that the device is disabled. A device that the data does not show yet is known by its token. */
  readonly enabled: boolean;
  readonly databaseReachable: boolean;
  /** Milliseconds since the replica was last known to be whole; 0 while the database is reachable. */
  readonly replicaAgeMs: number;
}

export type LoginDecision =
  | { readonly kind: 'serve' }
  | { readonly kind: 'redirect'; readonly server: string }
  | {
      readonly kind: 'refuse';
      readonly code: 'UnknownDevice' | 'TokenInvalid' | 'NoServer' | 'Busy' | 'Draining' | 'Offline';
      readonly message: string;
      readonly retryAfterMs: number;
    };

const RETRY_MS = 10_000;

export function decideLogin({ token, address, redirected }: LoginRequest, facts: LoginFacts): LoginDecision {
  const { snapshot, self, candidates } = facts;
  const refuse = (
    code: Extract<LoginDecision, { kind: 'refuse' }>['code'],
    message: string,
    retryAfterMs = RETRY_MS,
  ): LoginDecision => ({ kind: 'refuse', code, message, retryAfterMs });

  const site = snapshot.servers.find(({ name }) => name === self)?.site;
  const vdisk = snapshot.vdisks.find(({ name }) => name === token.vdisk);
  const { offline, suspend, name: farm } = snapshot.farm;
  if (site !== undefined && token.site !== site)
    return refuse('TokenInvalid', `the token is for site ${token.site}, this server is of site ${site}`, 0);
  if (!facts.enabled) return refuse('UnknownDevice', `device ${token.device} is disabled`);
  if (suspend) return refuse('NoServer', `farm ${farm} is suspended`);
  if (vdisk?.enabled === false) return refuse('NoServer', `vDisk ${vdisk.name} is disabled`);
  if (!facts.databaseReachable && !offline.enabled)
    return refuse('Offline', `the farm database is away and spec.offline.enabled of farm ${farm} is false`);
  if (facts.replicaAgeMs > offline.maxAgeSeconds * 1_000)
    return refuse('Offline', `the replica is older than spec.offline.maxAge of farm ${farm}`);

  const loadBalancing = vdisk?.loadBalancing ?? ({ algorithm: 'LeastBusy', subnetAffinity: 'None' } as const);
  const request = { device: token.device, address, loadBalancing };
  const own = candidates.filter(({ name }) => name === self);
  if (redirected && place(request, own).kind === 'server') return { kind: 'serve' };
  const placement = place(request, candidates);
  if (placement.kind === 'server')
    return placement.server === self ? { kind: 'serve' } : { kind: 'redirect', server: placement.server };
  return refuse(placement.reason === 'AllBooting' ? 'Busy' : 'NoServer', placement.message, placement.retryAfterMs);
}
