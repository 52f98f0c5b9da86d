/** The bootstrap: what a device is told before it streams. One a site, computed by each server from the replica alone, so that all give the same. */
import { createHash } from 'node:crypto';
import { stringify } from 'safe-stable-stringify';
import type { Boot, Endpoint, FarmSnapshot } from './model.ts';

export interface Bootstrap {
  readonly farm: string;
  readonly site: string;
  readonly boot: Boot;
  /** Stream endpoints, in a fixed order. */
  readonly loginServers: readonly Endpoint[];
  /** HTTP endpoints of the site's registered servers, in a fixed order. */
  readonly httpServers: readonly Endpoint[];
}

/** Undefined when the farm has no such site. */
export function bootstrapOf(snapshot: FarmSnapshot, site: string): Bootstrap | undefined {
  const found = snapshot.sites.find(({ name }) => name === site);
  if (!found) return undefined;
  const servers = snapshot.servers.filter((server) => server.site === site).sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    farm: snapshot.farm.name,
    site,
    boot: found.boot,
    loginServers:
      found.boot.loginServers.length > 0
        ? found.boot.loginServers
        : servers.map((server) => ({ host: server.address, port: server.ports.stream })),
    httpServers: servers.map((server) => ({ host: server.address, port: server.ports.http })),
  };
}

/** SHA-256, 64 hex digits, over the bootstrap with its keys in order. */
export const bootstrapHash = (bootstrap: Bootstrap): string =>
  createHash('sha256').update(stringify(bootstrap)).digest('hex');

export const authority = ({ host, port }: Endpoint): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;
