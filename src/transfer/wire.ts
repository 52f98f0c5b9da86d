/** What servers say to each other of a file, over HTTPS. */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Read } from '../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { MAX_SLOT_BYTES, type Manifest } from './manifest.ts';

/** `GET /v1/files/SHA256`: JSON. `…/manifest`: the encoded manifest. `…/chunks/RUNS`: their bytes, one after another. */
export const FILES = '/v1/files';

/** `GET /v1/properties`: JSON, of versions that are right there. */
export const PROPERTIES = '/v1/properties';

const ShownProperties = Type.Object({
  store: Type.String({ minLength: 1, maxLength: 253 }),
  name: Type.String({ minLength: 1, maxLength: 255 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  sizeBytes: Type.Integer({ minimum: 0 }),
  /** How often it was changed, as it says itself. */
  changes: Type.Optional(Type.Integer({ minimum: 0 })),
});
/** A `.pvp`, by its content. */
export type ShownProperties = Read<Static<typeof ShownProperties>>;

export const MAX_PROPERTIES_BYTES = 4 << 20;
const MAX_PROPERTIES = 10_000;

export const isPropertiesList = (value: unknown): value is readonly ShownProperties[] =>
  Value.Check(Type.Array(ShownProperties, { maxItems: MAX_PROPERTIES }), value);

export interface FileFacts {
  /** Of the manifest. */
  readonly root: string;
  /** All, or a bit a chunk in base64, the highest first. */
  readonly has: string;
}

export const ALL = 'all';
const MAX_RUNS = 64;
/** Of chunks below 100,000,000, with the comma. */
export const MAX_RUNS_CHARACTERS = MAX_RUNS * 18;
/** The bitmap of the largest file. */
export const MAX_FACTS_BYTES = 256 << 10;

export const isFacts = (value: unknown): value is FileFacts =>
  typeof value === 'object' &&
  value !== null &&
  'root' in value &&
  typeof value.root === 'string' &&
  /^[0-9a-f]{64}$/.test(value.root) &&
  'has' in value &&
  typeof value.has === 'string';

/** `3,7-12`: chunks in order. */
export function runsOf(chunks: readonly number[]): string {
  const runs: { from: number; to: number }[] = [];
  for (const chunk of chunks) {
    const last = runs.at(-1);
    if (last?.to === chunk - 1) last.to = chunk;
    else runs.push({ from: chunk, to: chunk });
  }
  return runs.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join();
}

export interface Run {
  readonly from: number;
  /** Included. */
  readonly to: number;
}

/** In order, none twice, 2 MiB of them at most. */
export function parseRuns(
  text: string,
  { chunks, chunkBytes }: Pick<Manifest, 'chunks' | 'chunkBytes'>,
): Result<readonly Run[], Fault<'RunsInvalid'>> {
  const invalid = (what: string) => fail('RunsInvalid', `chunks are asked for as 3,7-12: ${what}`);
  const parts = text.split(',');
  if (parts.length > MAX_RUNS) return invalid(`${parts.length} runs, and ${MAX_RUNS} at most`);
  const runs: Run[] = [];
  let next = 0;
  let left = Math.floor(MAX_SLOT_BYTES / chunkBytes);
  for (const part of parts) {
    const match = /^(\d{1,8})(?:-(\d{1,8}))?$/.exec(part);
    if (!match) return invalid(`"${part.slice(0, 40)}" is none`);
    const run = { from: Number(match[1]), to: Number(match[2] ?? match[1]) };
    if (run.from < next || run.to < run.from) return invalid(`${part} is not in order`);
    if (run.to >= chunks) return invalid(`${part}, and the file has ${chunks}`);
    left -= run.to - run.from + 1;
    if (left < 0) return invalid(`more than ${MAX_SLOT_BYTES} bytes`);
    runs.push(run);
    next = run.to + 1;
  }
  return ok(runs);
}
