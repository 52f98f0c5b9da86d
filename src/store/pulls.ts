/** What became of the files that a server lacks (`wants.ts`): written by the container `work`, read by the server, which tells it of its copies. Pure. */
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import type { Read, VersionFile } from '../farm/model.ts';
import { readJson } from '../kit/json.ts';
import { inUnits } from '../kit/units.ts';
import type { StoreWants, WantedFile } from './wants.ts';

const whole = Type.Integer({ minimum: 0 });

/**
 * - `Waiting`: for others of its store.
 * - `Running`: it comes.
 * - `Failed`: it is tried again by itself, each minute at least.
 * - `Forsaken`: it is not wanted any more, and what came of it goes in a minute.
 */
export const PULL_STATES = ['Waiting', 'Running', 'Failed', 'Forsaken'] as const;
type PullState = (typeof PULL_STATES)[number];

const PullReport = Type.Object({
  /** Its path and its digest name a pull. */
  path: Type.String({ pattern: '^/', maxLength: 4_096 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  state: Type.Unsafe<PullState>({ type: 'string', enum: PULL_STATES }),
  doneBytes: whole,
  totalBytes: whole,
  secondsLeft: Type.Optional(whole),
  /** Why it failed last. */
  message: Type.String({ maxLength: 4_096 }),
});
export type PullReport = Read<Static<typeof PullReport>>;

/** In the folder of jobs. */
export const PULLS_FILE = 'pulls.json';

/** Of all since the process began. */
const Pulls = Type.Object({ pulls: Type.Array(PullReport), copiedBytes: whole, blamed: whole });
export type Pulls = Read<Static<typeof Pulls>>;

export const NO_PULLS: Pulls = { pulls: [], copiedBytes: 0, blamed: 0 };

/** Undefined: it is none, or of a release that writes it otherwise. */
export const parsePulls = (text: string): Pulls | undefined => readJson(Pulls, text);

/** How far the copy of a version is that makes itself. */
export interface Copying {
  /** Whole percent of the bytes of all its files. */
  readonly progressPercent: number;
  readonly secondsLeft?: number;
  /** What is coming; or, with `fails`, why nothing comes. */
  readonly message: string;
  readonly fails?: true;
}

/** Undefined: none of its files is wanted here. */
export function copyingOf(
  files: readonly VersionFile[],
  { folder, files: wanted }: Pick<StoreWants, 'folder' | 'files'>,
  pulls: readonly PullReport[],
): Copying | undefined {
  const lacking = wanted.filter(({ name, sha256 }) =>
    files.some((file) => file.name === name && file.sha256 === sha256),
  );
  if (lacking.length === 0) return undefined;
  const own = lacking.flatMap((file) => pulls.find((pull) => isOf(pull, folder, file)) ?? []);
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const toCome = lacking.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const came = own.reduce((sum, { doneBytes, totalBytes }) => sum + Math.min(doneBytes, totalBytes), 0);
  const progressPercent = total === 0 ? 0 : Math.min(99, Math.floor((100 * (total - toCome + came)) / total));
  const failed = own.find(({ state }) => state === 'Failed');
  if (failed && !own.some(({ state }) => state === 'Running'))
    return { progressPercent, message: `${failed.message}; it is tried again by itself`, fails: true };
  const left = own.map(({ secondsLeft }) => secondsLeft).filter((seconds) => seconds !== undefined);
  return {
    progressPercent,
    ...(left.length > 0 ? { secondsLeft: Math.max(...left) } : {}),
    message: `${lacking.map(({ name }) => name).join(', ')}: ${inUnits(toCome)} of ${inUnits(total)} come from other servers`,
  };
}

const isOf = (pull: Pick<PullReport, 'path' | 'sha256'>, folder: string, { name, sha256 }: WantedFile): boolean =>
  pull.path === join(folder, name) && pull.sha256 === sha256;
