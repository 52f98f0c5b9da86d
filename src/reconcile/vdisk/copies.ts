/** What the table of copies is told of a VDisk. Pure. */
import { parse } from 'node:path';
import { versionOfStem } from '../../farm/files.ts';
import type { CopiesFound } from '../../operator/copies.ts';
import type { VDisk } from '../../resources/kinds.ts';
import type { VDiskFindings, VersionJudged } from './status.ts';

export const copiesFound = (
  { spec: { fileName } }: VDisk,
  { holders }: Pick<VDiskFindings, 'holders'>,
  versions: readonly Pick<VersionJudged, 'number' | 'copies'>[],
): CopiesFound => ({
  copies: versions.flatMap(({ number: version, copies }) =>
    copies.map(({ server, state, message, progressPercent, secondsLeft, verifiedAt, manifest, files }) => ({
      ...{ server, version, state, message },
      ...(state === 'Copying' ? { progressPercent: Math.floor((progressPercent ?? 0) / 10) * 10 } : {}),
      ...(state !== 'Copying' || secondsLeft === undefined ? {} : { secondsLeft: Math.round(secondsLeft) }),
      ...verifiedOf(verifiedAt),
      ...(manifest === undefined ? {} : { manifest }),
      ...(state === 'Conflict' && files ? { files } : {}),
    })),
  ),
  images: new Map(
    holders.map(({ server, reachable, reports, unmanaged }) => [
      server,
      reachable
        ? versionsIn([...unmanaged, ...reports.flatMap(({ files }) => files.map(({ name }) => name))], fileName)
        : 'Unknown',
    ]),
  ),
});

/** A server says it, in Unix milliseconds: what is no time is left out. */
function verifiedOf(ms: number | undefined): { readonly verifiedAt?: number } {
  const at = new Date(ms ?? Number.NaN);
  return Number.isNaN(at.getTime()) || at.getTime() < 0 ? {} : { verifiedAt: Math.round(at.getTime() / 1_000) };
}

function versionsIn(names: readonly string[], fileName: string): ReadonlySet<number> {
  const numbers = names.map((name) => versionOfStem(parse(name).name, fileName));
  return new Set(numbers.filter((number) => number !== undefined).sort((a, b) => a - b));
}
