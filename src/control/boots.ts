/** What a server tells the operator of machines that boot: `GET /v1/boots?mac=…` and `GET /v1/boots/unknown`, JSON. */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { parseMac } from '../farm/address.ts';
import { BootRecord, UnknownMachine } from '../farm/bootrecord.ts';
import type { Read } from '../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

/** MACs in one question: a device has eight at most. */
const MAX_MACS = 8;

const BootAnswer = Type.Object({ records: Type.Array(BootRecord) });
/** Of those MACs that this server heard. */
export type BootAnswer = Read<Static<typeof BootAnswer>>;

const UnknownAnswer = Type.Object({ machines: Type.Array(UnknownMachine), more: Type.Integer({ minimum: 0 }) });
/** Those that were heard last, the newest first, and how many more there are. */
export type UnknownAnswer = Read<Static<typeof UnknownAnswer>>;

export const isBootAnswer = (value: unknown): value is BootAnswer => Value.Check(BootAnswer, value);
export const isUnknownAnswer = (value: unknown): value is UnknownAnswer => Value.Check(UnknownAnswer, value);

/** The MACs of a query. */
export function askedMacs(query: URLSearchParams): Result<readonly string[], Fault<'MacInvalid'>> {
  const texts = query.getAll('mac');
  if (texts.length === 0 || texts.length > MAX_MACS)
    return fail('MacInvalid', `${texts.length} MACs: ask with mac=, once for each of 1 to ${MAX_MACS}`);
  const macs = texts.map((text) => parseMac(text));
  const bad = macs.indexOf(undefined);
  if (bad >= 0) return fail('MacInvalid', `mac=${texts[bad]} is no MAC`);
  return ok(macs.filter((mac) => mac !== undefined));
}
