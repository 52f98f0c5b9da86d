/** What the table of copies is told of a VDisk: what PostgreSQL takes, whatever a server says of itself. Pure. */
import { parse } from 'node:path';
import type { CopyRow } from '../../database/copies.ts';
import { versionOfStem } from '../../farm/files.ts';
import type { VersionFile } from '../../farm/model.ts';
import type { CopiesFound } from '../../operator/copies.ts';
import type { VDisk } from '../../resources/kinds.ts';
import type { VDiskFindings, VersionJudged } from './judge.ts';

export const copiesFound = (
  { spec: { fileName } }: VDisk,
  { holders }: Pick<VDiskFindings, 'holders'>,
  versions: readonly Pick<VersionJudged, 'number' | 'copies' | 'others'>[],
): CopiesFound => ({
  copies: versions.flatMap(({ number, copies, others = [] }) =>
    [...copies, ...others].map((copy) => rowOf(number, copy)),
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

const HEX = /^[0-9a-f]{64}$/;
/** Of the year 9999, and of what an integer of PostgreSQL holds. */
const LAST_SECOND = 253_402_300_799;
const MAX_INTEGER = 2_147_483_647;

function rowOf(version: number, copy: VersionJudged['copies'][number]): CopyRow {
  const {
    server,
    state,
    message,
    progressPercent = 0,
    secondsLeft,
    verifiedAt = Number.NaN,
    manifest = '',
    files,
  } = copy;
  const isCopying = state === 'Copying';
  const verified = Math.round(verifiedAt / 1_000);
  return {
    ...{ server, version, state, message: textOf(message) },
    ...(isCopying ? { progressPercent: within(10 * Math.floor(progressPercent / 10), 100) } : {}),
    ...(isCopying && secondsLeft !== undefined ? { secondsLeft: within(Math.round(secondsLeft), MAX_INTEGER) } : {}),
    ...(verified >= 0 && verified <= LAST_SECOND ? { verifiedAt: verified } : {}),
    ...(HEX.test(manifest) ? { manifest } : {}),
    ...(state === 'Conflict' && files?.every(isFile) ? { files } : {}),
  };
}

const within = (value: number, most: number): number => Math.min(most, Math.max(0, value || 0));

/** No NUL, and no half of a character. */
const textOf = (message: unknown): string =>
  String(message ?? '')
    .replaceAll('\0', '')
    .toWellFormed();

const isFile = ({ name, sizeBytes, sha256 }: VersionFile): boolean =>
  typeof name === 'string' && name === textOf(name) && Number.isSafeInteger(sizeBytes) && HEX.test(sha256);

function versionsIn(names: readonly string[], fileName: string): ReadonlySet<number> {
  const numbers = names.map((name) => versionOfStem(parse(name).name, fileName));
  return new Set(numbers.filter((number) => number !== undefined).sort((a, b) => a - b));
}
