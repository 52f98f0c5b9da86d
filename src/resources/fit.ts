/**
 * A status within the bounds of its schema. The API server refuses a whole status for one text that is a character too long, and a farm that cannot
 * say what is wrong with it is worse than one that says it in part: texts and lists are cut, numbers brought to their bound, and what does not
 * fit at all is left out, with what needs it.
 */
import { KINDS, type KindName, type ResourceByName } from './kinds.ts';

/** What `schema.ts` makes, as far as values are bound by it. */
interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

type Status<K extends KindName> = NonNullable<ResourceByName<K>['status']>;

/** The same object where all fits, so that a status that fits is compared and written as it is. */
export function fitStatus<K extends KindName>(kind: K, status: Status<K>): Status<K> {
  const schema: object = KINDS[kind].status;
  // Only what the schema of this very type bounds is changed, and to a value that it allows.
  return (bounded(schema as Schema, status) ?? {}) as Status<K>;
}

/** Undefined: nothing of it fits. */
function bounded(schema: Schema, value: unknown): unknown {
  if (schema.enum) return schema.enum.includes(String(value)) ? value : undefined;
  switch (schema.type) {
    case 'string':
      return typeof value === 'string' ? fitText(schema, value) : undefined;
    case 'integer':
    case 'number':
      return typeof value === 'number' ? fitNumber(schema, value) : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'array':
      return Array.isArray(value) ? fitList(schema, value) : undefined;
    case 'object':
      return typeof value === 'object' && value !== null ? fitObject(schema, value) : undefined;
    default:
      return value;
  }
}

const CUT = '…';

/** Characters are counted as the API server counts them: code points. */
function fitText({ maxLength = Number.POSITIVE_INFINITY, minLength = 0, pattern, format }: Schema, value: string) {
  let text = value;
  if (value.length > maxLength) {
    const characters = [...value];
    if (characters.length > maxLength) text = characters.slice(0, maxLength - 1).join('') + CUT;
  }
  if (text.length < minLength) return undefined;
  // A name or a digest that was cut is none: the sign of the cut is in no pattern.
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(text)) return undefined;
  if (format === 'date-time' && Number.isNaN(Date.parse(text))) return undefined;
  return text;
}

function fitNumber({ type, minimum = -Infinity, maximum = Infinity }: Schema, value: number): number | undefined {
  if (Number.isNaN(value)) return undefined;
  const bounded = Math.min(maximum, Math.max(minimum, value));
  return type === 'integer' ? Math.round(bounded) : bounded;
}

function fitList(schema: Schema, value: readonly unknown[]): readonly unknown[] {
  const { items = {}, maxItems = Number.POSITIVE_INFINITY } = schema;
  const seen = new Set<string>();
  const fitting: unknown[] = [];
  for (const item of value) {
    const fitted = bounded(items, item);
    const key = keyOf(schema, fitted);
    if (fitted === undefined || fitting.length >= maxItems || (key !== undefined && seen.has(key))) continue;
    if (key !== undefined) seen.add(key);
    fitting.push(fitted);
  }
  return same(fitting, value) ? value : fitting;
}

/** Two items of one key are refused with the whole status, too. */
function keyOf(schema: Schema, item: unknown): string | undefined {
  const type = schema['x-kubernetes-list-type'];
  if (type === 'set') return JSON.stringify(item);
  if (type !== 'map' || typeof item !== 'object' || item === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...item };
  return JSON.stringify((schema['x-kubernetes-list-map-keys'] ?? []).map((field) => fields[field]));
}

function fitObject(schema: Schema, value: object): object | undefined {
  const { properties, required = [], additionalProperties, maxProperties = Number.POSITIVE_INFINITY } = schema;
  const entries: [string, unknown][] = Object.entries(value);
  const fitting = entries
    .flatMap(([name, inner]): [string, unknown][] => {
      const bound = properties?.[name] ?? additionalProperties;
      const fitted = bound && inner !== undefined ? bounded(bound, inner) : inner;
      return fitted === undefined ? [] : [[name, fitted]];
    })
    .slice(0, maxProperties);
  const names = new Set(fitting.map(([name]) => name));
  if (required.some((name) => !names.has(name))) return undefined;
  return same(
    fitting.map(([, inner]) => inner),
    entries.map(([, inner]) => inner),
  )
    ? value
    : Object.fromEntries(fitting);
}

const same = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item, index) => Object.is(item, b[index]));
