/**
 * What is stored, read: a text from PostgreSQL or Redis is an entry of its kind or a named fault, never a cast. Somebody may have written it by hand,
 * another release did, or a disk lied; a bad entry costs itself alone.
 */
import type { Static, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { Value } from 'typebox/value';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import {
  Collection,
  Copy,
  Device,
  Farm,
  type FarmSnapshot,
  Server,
  Session,
  Site,
  Store,
  VDisk,
  Version,
  VersionOverride,
} from './model.ts';

export type EntryFault = Fault<'EntryInvalid'>;

/** Reads texts of one kind. */
export type Parse<T> = (text: string) => Result<T, EntryFault>;

/** How much of an entry its fault shows. */
const SHOWN_CHARACTERS = 60;

/** Of all that is stored as an object. */
export const SCHEMAS = {
  farm: Farm,
  site: Site,
  collection: Collection,
  store: Store,
  vdisk: VDisk,
  version: Version,
  override: VersionOverride,
  server: Server,
  device: Device,
  session: Session,
  copy: Copy,
} as const;

function parser<Kind extends keyof typeof SCHEMAS>(kind: Kind): Parse<Static<(typeof SCHEMAS)[Kind]>> {
  type Entry = Static<(typeof SCHEMAS)[Kind]>;
  const schema: TSchema = SCHEMAS[kind];
  let checks: Validator | undefined;
  return (text) => {
    checks ??= Compile(schema); // on first use: an operator reads none of them
    const value = parseJson(text);
    if (checks.Check(value)) return ok(value as Entry);
    const whole = Value.Default(schema, value); // only now: of thousands of entries none lacks a field
    if (checks.Check(whole)) return ok(whole as Entry);
    const [first] = checks.Errors(whole);
    const where = first ? `${first.instancePath} ${first.message}`.trim() : 'is not what it must be';
    return fail('EntryInvalid', `${kind} ${nameOf(whole) ?? text.slice(0, SHOWN_CHARACTERS)}: ${where}`);
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function nameOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, vdisk, number, device, version = number } = value as Record<string, unknown>;
  if (typeof name === 'string') return name.slice(0, SHOWN_CHARACTERS);
  if (typeof device === 'string') return `of device ${device.slice(0, SHOWN_CHARACTERS)}`;
  return typeof vdisk === 'string' ? `${vdisk.slice(0, SHOWN_CHARACTERS)}/${String(version)}` : undefined;
}

export const parseDevice: Parse<Device> = parser('device');
export const parseSession: Parse<Session> = parser('session');
export const parseCopy: Parse<Copy> = parser('copy');

const parseFarm: Parse<Farm> = parser('farm');
const SMALL = {
  site: parser('site'),
  collection: parser('collection'),
  store: parser('store'),
  vdisk: parser('vdisk'),
  version: parser('version'),
  override: parser('override'),
  server: parser('server'),
} as const;

/** The name that an entry of the kinds `mac` and `uuid` points at. */
export function parseName(text: string): Result<string, EntryFault> {
  const name = parseJson(text);
  if (typeof name === 'string') return ok(name);
  return fail('EntryInvalid', `${text.slice(0, SHOWN_CHARACTERS)} is no name of a device`);
}

/** Undefined: there is no farm. A farm that cannot be read is a fault; any other entry is left out and named. */
export function parseSnapshot(
  texts: (kind: 'farm' | keyof typeof SMALL) => readonly string[],
): Result<FarmSnapshot | undefined, EntryFault> {
  const [farmText] = texts('farm');
  if (farmText === undefined) return ok(undefined);
  const farm = parseFarm(farmText);
  if (!farm.ok) return farm;
  const leftOut: string[] = [];
  const read = <T>(kind: keyof typeof SMALL, parse: Parse<T>): T[] =>
    texts(kind).flatMap((text) => {
      const entry = parse(text);
      if (entry.ok) return [entry.value];
      leftOut.push(entry.error.message);
      return [];
    });
  const snapshot: FarmSnapshot = {
    farm: farm.value,
    sites: read('site', SMALL.site),
    collections: read('collection', SMALL.collection),
    stores: read('store', SMALL.store),
    vdisks: read('vdisk', SMALL.vdisk),
    versions: read('version', SMALL.version),
    overrides: read('override', SMALL.override),
    servers: read('server', SMALL.server),
  };
  return ok(leftOut.length === 0 ? snapshot : { ...snapshot, leftOut });
}
