/**
 * Properties of a version, its `.pvp`: which are right, where servers hold different ones. They belong to a version and are no part of its content, so no manifest
 * has them and none waits for them. Pure.
 */
import type { CopyVerdict } from './copies.ts';

/** The `.pvp` of a version on one server. */
export interface PropertiesFacts {
  readonly name: string;
  /** Absent: it cannot be read, and `message` says why. */
  readonly sha256?: string;
  /** How often it was changed, as it says itself; absent: it is none that PVS 6 to 7 writes. */
  readonly changes?: number;
  readonly message?: string;
}

/** On which server. */
export interface RightProperties extends PropertiesFacts {
  readonly server: string;
}

/**
 * The one that was changed most often, by the count in it: no clock, and no majority, which two servers have none of. Of as many changes the one that most servers
 * have, and of as many servers the first by its digest, and of one digest by its server: any order, as long as it is one.
 */
export function rightProperties(shown: readonly RightProperties[]): RightProperties | undefined {
  const readable = shown.filter(({ sha256 }) => sha256 !== undefined);
  const holders = ({ sha256 }: PropertiesFacts): number => readable.filter((other) => other.sha256 === sha256).length;
  const order = ({ sha256, server }: RightProperties): string => `${sha256} ${server}`;
  const before = (a: RightProperties, b: RightProperties): number =>
    (b.changes ?? -1) - (a.changes ?? -1) || holders(b) - holders(a) || (order(a) < order(b) ? -1 : 1);
  return readable.toSorted(before)[0];
}

/** Of a copy whose content is right. Undefined: nothing is to be said; `held` is null where there is no `.pvp`, and absent where nothing is known. */
export function verdictOnProperties(
  { server, folder }: { readonly server: string; readonly folder: string },
  held: PropertiesFacts | null | undefined,
  right: RightProperties | undefined,
): CopyVerdict | undefined {
  if (held === undefined || !right || held?.sha256 === right.sha256) return undefined;
  const way = `copy ${right.name} from server ${right.server}; machines boot the version without it, too`;
  if (held === null)
    return { state: 'PropertiesMissing', message: `server ${server}: ${right.name} is not in ${folder}: ${way}` };
  const why = held.message ?? `it was changed ${times(held)}, that of server ${right.server} ${times(right)}`;
  return {
    state: 'PropertiesOutOfDate',
    message: `server ${server}: ${held.name} in ${folder} is not the right one (${why}): ${way}`,
  };
}

const times = ({ changes }: PropertiesFacts): string =>
  changes === undefined ? 'no one knows how often' : changes === 1 ? 'once' : `${changes} times`;
