/**
 * The few shapes that the four kinds are made of. Each gives a TypeBox schema that is at once what TypeScript reads (`Static`), what the
 * CRD says (structural OpenAPI v3) and what `parse.ts` checks. Everything has a description and a bound: the API server estimates the
 * cost of each CEL rule from the bounds.
 */
import { type Static, type TOptional, type TSchema, type TSchemaOptions, Type } from 'typebox';

/** A rule between fields. The message says what to do; it is the rule's name in tests and in what a user reads. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
  /** CEL, in place of the message where it says the value, too: the API server names its type alone. */
  readonly messageExpression?: string;
}

export const rule = (rule: string, message: string): Rule => ({ rule, message });

/** `self` and `oldSelf` are the field; a list or map inside a list may not hold such a rule unless the list is a map. */
export const immutable = (what: string, instead: string): Rule =>
  rule('self == oldSelf', `${what} is immutable: ${instead}`);

export const rules = (...list: readonly Rule[]): TSchemaOptions => ({ 'x-kubernetes-validations': list });

export const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
const DNS_NAME = '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$';
/** Absolute, no empty, `.` or `..` part, no slash at the end. */
const PATH = '^(/[A-Za-z0-9_@+~-][A-Za-z0-9._@+~-]*|/\\.[A-Za-z0-9_@+~-][A-Za-z0-9._@+~-]*)+$';
/** As Go prints it, whole units: 720h, 10m, 1h30m, 45s. */
const DURATION = '^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$';
const QUANTITY = '^[0-9]{1,15}([.][0-9]{1,9})?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$';
const SHA256 = '^[0-9a-f]{64}$';

const string = (description: string, maxLength: number, options: TSchemaOptions = {}) =>
  Type.String({ description, minLength: 1, maxLength, ...options });

export const text = (description: string, maxLength = 253) => string(description, maxLength);
/** Text that may be empty: what bootfarm says, not what a user must say. */
export const message = (description: string, maxLength = 1024) => Type.String({ description, maxLength });
/** A name of ours: it becomes a label, a file name and a part of host names. */
export const label = (description: string) => string(description, 63, { pattern: DNS_LABEL });
/** A name of Kubernetes: nodes, secrets, classes. */
export const dnsName = (description: string) => string(description, 253, { pattern: DNS_NAME });
export const path = (description: string, options: TSchemaOptions = {}) =>
  string(description, 512, { pattern: PATH, ...options });
/** `least`: of the field of this name, nothing shorter is taken. */
export const duration = (description: string, least?: { readonly of: string; readonly is: string }) =>
  string(
    `${description} Hours, minutes and seconds, such as 24h or 1h30m; a week is 168h${least ? `. At least ${least.is}` : ''}.`,
    24,
    {
      minLength: 2,
      pattern: DURATION,
      ...(least ? rules(notBelow(least.of, least.is)) : {}),
    },
  );

/** What is no duration is the pattern's to refuse. */
function notBelow(field: string, least: string): Rule {
  const message = `${field} is less than ${least}: choose a longer time, in hours, minutes and seconds, such as 24h or 1h30m`;
  return {
    ...rule(`!self.matches(r'${DURATION}') || duration(self) >= duration('${least}')`, message),
    messageExpression: `self + ' is too short: ${message}'`,
  };
}
export const time = (description: string) => string(description, 64, { format: 'date-time' });
export const sha256 = (description: string) => string(description, 64, { minLength: 64, pattern: SHA256 });
export const pattern = (description: string, maxLength: number, expression: string, options: TSchemaOptions = {}) =>
  string(description, maxLength, { pattern: expression, ...options });

export const integer = (description: string, minimum: number, maximum: number, options: TSchemaOptions = {}) =>
  Type.Integer({ description, minimum, maximum, format: maximum > 2_147_483_647 ? 'int64' : 'int32', ...options });
/** Bytes, objects, devices: anything counted from 0. */
export const count = (description: string) => integer(description, 0, Number.MAX_SAFE_INTEGER);
export const number = (description: string, minimum: number, maximum: number, options: TSchemaOptions = {}) =>
  Type.Number({ description, minimum, maximum, ...options });
export const port = (description: string) => integer(description, 1, 65_535);
export const flag = (description: string) => Type.Boolean({ description });

export const oneOf = <const Values extends readonly [string, ...string[]]>(description: string, values: Values) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: values, description });

/** A Kubernetes quantity: a number, or text such as 8Gi. */
export const quantity = (description: string) =>
  Type.Unsafe<string | number>({
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    'x-kubernetes-int-or-string': true,
    pattern: QUANTITY,
    maxLength: 32,
    description,
  });

/** A number of things, or `all` of them. */
export const countOrAll = (description: string, maximum: number) =>
  Type.Unsafe<number | 'all'>({
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    'x-kubernetes-int-or-string': true,
    minimum: 1,
    maximum,
    pattern: '^all$',
    maxLength: 3,
    description,
  });

/** A list whose items are told apart by `keys`: the API server refuses two with the same, and server-side apply merges by them. */
export const listBy = <Item extends TSchema>(
  description: string,
  keys: readonly string[],
  maxItems: number,
  item: Item,
) =>
  Type.Array(item, {
    description,
    maxItems,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
  });
/** A list of different values. */
export const setOf = <Item extends TSchema>(description: string, maxItems: number, item: Item) =>
  Type.Array(item, { description, maxItems, 'x-kubernetes-list-type': 'set' });
/** A list in an order, owned as a whole. */
export const listOf = <Item extends TSchema>(description: string, maxItems: number, item: Item) =>
  Type.Array(item, { description, maxItems, 'x-kubernetes-list-type': 'atomic' });

export const mapOf = <Value extends TSchema>(description: string, maxProperties: number, value: Value) =>
  Type.Unsafe<Record<string, Static<Value>>>({
    type: 'object',
    additionalProperties: value,
    maxProperties,
    description,
  });

export const object = <Properties extends Record<string, TSchema>>(
  description: string,
  properties: Properties,
  ...list: readonly Rule[]
) => Type.Object(properties, { description, ...(list.length > 0 ? rules(...list) : {}) });

export const optional = Type.Optional;

/** Marks a default that the API server writes into the object: what scale and rules between old and new read. */
export const WRITTEN = 'x-written';

/**
 * A field that may be left out, and what it is then: in its description, and in what `parse.ts` gives. The CRD does not say it, so what people keep in
 * git and what is in the cluster are the same.
 */
export const defaulted = <Schema extends TSchema>(schema: Schema, value: Static<Schema>): Schema => {
  const { description = '' } = schema as { readonly description?: string };
  const told =
    typeof value === 'object' || description.includes('(default)') ? '' : ` Default: ${String(value) || 'empty'}.`;
  return changed(schema, { default: value, description: `${description}${told}`.trim() });
};

/** An object that may be left out because each of its fields may. */
export const group = <Properties extends Record<string, TSchema>>(
  description: string,
  properties: Properties,
  ...list: readonly Rule[]
) => defaulted(object(description, properties, ...list), {} as never);

/** The same fields where each may be left out, and stands for what another place says then. */
export const overriding = <Properties extends Record<string, TSchema>>(
  properties: Properties,
): { [Name in keyof Properties]: TOptional<Properties[Name]> } => {
  const own = Object.entries(properties).map(([name, field]) => {
    return [name, Type.Optional(changed(field, {}, 'default'))];
  });
  return Object.fromEntries(own);
};

/** TypeBox marks its schemas by properties that a spread does not see. */
function changed<Schema extends TSchema>(schema: Schema, more: object, without?: string): Schema {
  const all = { ...Object.getOwnPropertyDescriptors(schema), ...Object.getOwnPropertyDescriptors(more) };
  return Object.defineProperties(
    {},
    Object.fromEntries(Object.entries(all).filter(([name]) => name !== without)),
  ) as Schema;
}

/** Exactly one of these fields, as a CEL expression. */
export const exactlyOne = (...fields: readonly string[]): string =>
  `[${fields.map((field) => `has(self.${field})`).join(', ')}].filter(x, x).size() == 1`;
