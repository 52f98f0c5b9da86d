/** A device as the fields of a form, and back: pure. */
import type { Device, DeviceNew, DevicePatch } from './shapes.ts';

export interface DeviceFields {
  readonly name: string;
  /** One a line. */
  readonly macs: string;
  readonly collection: string;
  /** Empty: the collection's. */
  readonly class: NonNullable<Device['class']> | '';
  readonly enabled: boolean;
  readonly uuid: string;
  /** `name=value`, one a line. */
  readonly properties: string;
}

/** In the order of how many devices are of it. */
export const CLASSES = ['Production', 'Test', 'Maintenance'] as const;

export const blank = (collection: string): DeviceFields => ({
  name: '',
  macs: '',
  collection,
  class: '',
  enabled: true,
  uuid: '',
  properties: '',
});

export const fieldsOf = ({
  name,
  macs,
  collection,
  class: access,
  enabled,
  uuid = '',
  properties,
}: Device): DeviceFields => ({
  name,
  collection,
  class: access ?? '',
  enabled,
  uuid,
  macs: macs.join('\n'),
  properties: Object.entries(properties)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n'),
});

const linesOf = (text: string, between: RegExp): readonly string[] =>
  text
    .split(between)
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** A line without `=` has no value, which the API says is wrong. */
const propertiesOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    linesOf(text, /\n/).map((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [line, ''] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    }),
  );

export const newOf = ({
  name,
  macs,
  collection,
  class: access,
  enabled,
  uuid,
  properties,
}: DeviceFields): DeviceNew => ({
  ...{ name: name.trim(), macs: [...linesOf(macs, /[\s,;]+/)], collection, enabled },
  ...(access === '' ? {} : { class: access }),
  ...(uuid.trim() === '' ? {} : { uuid: uuid.trim() }),
  properties: propertiesOf(properties),
});

/** Only what differs: whoever changed something else meanwhile keeps it. */
export function patchOf(before: DeviceFields, after: DeviceFields): DevicePatch {
  const [was, is] = [newOf(before), newOf(after)];
  const differs = <Key extends keyof DeviceNew>(key: Key): boolean =>
    JSON.stringify(was[key]) !== JSON.stringify(is[key]);
  const gone = Object.keys(was.properties ?? {}).filter((key) => !(key in (is.properties ?? {})));
  return {
    ...(differs('macs') ? { macs: is.macs } : {}),
    ...(differs('collection') ? { collection: is.collection } : {}),
    ...(differs('enabled') && is.enabled !== undefined ? { enabled: is.enabled } : {}),
    ...(differs('class') ? { class: is.class ?? null } : {}),
    ...(differs('uuid') ? { uuid: is.uuid ?? null } : {}),
    ...(differs('properties')
      ? { properties: { ...is.properties, ...Object.fromEntries(gone.map((key) => [key, null])) } }
      : {}),
  };
}
