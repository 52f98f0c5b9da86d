/** Who has how much of the devices, against what would be fair: by power rating, among those of a site that stream. Pure. */
import type { Server } from './shapes.ts';

export interface Share {
  readonly server: Server;
  /** Devices that it would have if all were spread by power rating; undefined: it takes none now. */
  readonly fair: number | undefined;
  /** Of the longest bar of its site: 0 to 1. */
  readonly width: number;
  readonly fairAt: number | undefined;
  /** `12 % above its share`. */
  readonly words: string;
}

export interface SiteBalance {
  readonly site: string;
  readonly devices: number;
  readonly shares: readonly Share[];
}

/** What is not worth a word: a device more or less, or 5 %. */
const EVEN = { devices: 1, part: 0.05 };

export function balance(servers: readonly Server[]): readonly SiteBalance[] {
  const sites = Map.groupBy(servers, ({ site }) => site);
  return [...sites]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([site, all]) => {
      const devices = all.reduce((sum, server) => sum + server.devices, 0);
      const rating = all.filter(takes).reduce((sum, { powerRating }) => sum + powerRating, 0);
      const fairOf = (server: Server) => (takes(server) ? (devices * server.powerRating) / rating : undefined);
      const longest = Math.max(1, ...all.flatMap((server) => [server.devices, fairOf(server) ?? 0]));
      const shares = all
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map((server) => {
          const fair = fairOf(server);
          return {
            server,
            fair,
            width: server.devices / longest,
            fairAt: fair === undefined ? undefined : fair / longest,
            words: wordsOf(server, fair),
          };
        });
      return { site, devices, shares };
    });
}

const takes = ({ state }: Server): boolean => state === 'Streaming';

function wordsOf({ devices, state }: Server, fair: number | undefined): string {
  if (fair === undefined) return state === 'Draining' ? 'drains' : 'takes none';
  const off = devices - fair;
  if (Math.abs(off) <= Math.max(EVEN.devices, fair * EVEN.part)) return 'fair';
  if (fair === 0) return 'fair';
  return `${Math.round((Math.abs(off) / fair) * 100)} % ${off > 0 ? 'above' : 'below'}`;
}
