/**
 * An object from the API as a typed resource. The API server has checked it, but maybe against the CRD of another release: fields that
 * this release does not know are let through, and a spec that does not fit is a named fault.
 */
import { type TSchema, Type } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { Value } from 'typebox/value';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { conditionList } from './common.ts';
import type { Condition } from './conditions.ts';
import { API_VERSION } from './kind.ts';
import { KINDS, type KindName, type ResourceByName } from './kinds.ts';

/** `WrongKind`: not an object of this kind and version. `InvalidResource`: a field is missing, of the wrong type or beyond its limit. */
export type ParseFault = Fault<'WrongKind' | 'InvalidResource'> & {
  /** As kubectl writes it: spec.sites[0].name; empty for the whole object. */
  readonly path: string;
};

const meta = Type.Object({
  name: Type.String(),
  namespace: Type.String(),
  uid: Type.Optional(Type.String()),
  generation: Type.Optional(Type.Integer()),
  deletionTimestamp: Type.Optional(Type.String()),
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
  finalizers: Type.Optional(Type.Array(Type.String())),
});

interface Checks {
  readonly object: Validator;
  readonly status: Validator;
}

const compiled = new Map<KindName, Checks>();
const conditions = Compile(conditionList);

/** Compiled on first use: a server never needs them. */
function checksOf(name: KindName): Checks {
  const known = compiled.get(name);
  if (known) return known;
  const kind: { readonly spec: TSchema; readonly status: TSchema } = KINDS[name];
  const checks = { object: Compile(Type.Object({ metadata: meta, spec: kind.spec })), status: Compile(kind.status) };
  compiled.set(name, checks);
  return checks;
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/**
 * The object, typed, with what its spec leaves out filled in: inside, a field is optional only where its absence says something. Status is this
 * operator's own word: one that does not fit (another release wrote it) is no fault, only its conditions are kept, for their transition times.
 */
export function parse<Name extends KindName>(name: Name, object: unknown): Result<ResourceByName<Name>, ParseFault> {
  const { apiVersion, kind, metadata, spec, status } = record(object);
  if (apiVersion !== API_VERSION || kind !== name)
    return wrong('WrongKind', '', `${String(apiVersion)} ${String(kind)} is not ${API_VERSION} ${name}`);
  const checks = checksOf(name);
  const filled = spec === undefined ? {} : { spec: Value.Default(KINDS[name].spec, Value.Clone(spec)) };
  const whole = { ...record(object), ...filled };
  if (!checks.object.Check(whole)) {
    const [first] = checks.object.Errors(whole);
    const path = dotted(first?.instancePath ?? '');
    const value = valueAt(whole, first?.instancePath ?? '');
    const is = typeof value === 'object' ? ' ' : ` is ${String(JSON.stringify(value)).slice(0, 100)}: `;
    const { namespace, name: called } = record(metadata);
    const what = `${name} ${String(namespace)}/${String(called)}: ${path || 'it'}`;
    return wrong('InvalidResource', path, `${what}${is}${limitOf(first)}`);
  }
  const typed = { ...whole, status: checks.status.Check(status) ? status : rescued(status) };
  return ok(typed as unknown as ResourceByName<Name>);
}

const rescued = (status: unknown): { readonly conditions?: readonly Condition[] } => {
  const list = record(status)['conditions'];
  return conditions.Check(list) ? { conditions: list } : {};
};

const wrong = (code: ParseFault['code'], path: string, message: string): Result<never, ParseFault> => ({
  ok: false,
  error: { code, path, message },
});

const parts = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

const dotted = (pointer: string): string =>
  parts(pointer)
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');

const valueAt = (value: unknown, pointer: string): unknown =>
  parts(pointer).reduce<unknown>((at, part) => record(at)[part], value);

/** What the schema says, in words: `must be <= 256`, `must be one of Auto, Report`. */
function limitOf(error: ReturnType<Validator['Errors']>[number] | undefined): string {
  const { allowedValues, requiredProperties } = record(error?.params);
  if (Array.isArray(allowedValues)) return `must be one of ${allowedValues.join(', ')}`;
  if (Array.isArray(requiredProperties)) return `must have ${requiredProperties.join(', ')}`;
  return error?.message ?? 'does not fit the schema';
}
