/** What options say of a device: a new one, or what becomes of one that is there. Pure. */

import { parseMac } from '../farm/address.ts';
import type { Device } from '../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type DeviceText, parseDevice } from './input.ts';

export interface AddOptions {
  readonly mac: readonly string[];
  readonly uuid?: string;
  readonly collection: string;
  readonly class?: string;
  readonly disabled?: true;
  readonly property?: readonly string[];
}

/** An empty text takes away what is there. */
export interface SetOptions {
  readonly mac?: readonly string[];
  readonly addMac?: readonly string[];
  readonly removeMac?: readonly string[];
  readonly uuid?: string;
  readonly collection?: string;
  readonly class?: string;
  readonly enabled?: true;
  readonly disabled?: true;
  readonly property?: readonly string[];
  readonly removeProperty?: readonly string[];
}

type Invalid = Fault<'Invalid'>;

export function deviceOf(name: string, options: AddOptions): Result<Device, Invalid> {
  const properties = propertiesOf(options.property);
  if (!properties.ok) return properties;
  return judged({
    name,
    macs: macsOf(options.mac),
    uuid: options.uuid ?? '',
    collection: options.collection,
    class: options.class ?? '',
    enabled: options.disabled ? 'false' : '',
    properties: properties.value,
  });
}

export function editDevice(device: Device, options: SetOptions): Result<Device, Invalid> {
  const set = propertiesOf(options.property);
  if (!set.ok) return set;
  const gone = options.removeProperty ?? [];
  const unknown = gone.find((key) => !(key in device.properties));
  if (unknown !== undefined) return fail('Invalid', `device ${device.name} has no property ${unknown}`);
  const kept = Object.entries(device.properties).filter(([key]) => !gone.includes(key));
  return judged({
    name: device.name,
    macs: macsAfter(device, options),
    uuid: options.uuid ?? device.uuid ?? '',
    collection: options.collection ?? device.collection,
    class: options.class ?? device.class ?? '',
    enabled: String(options.enabled ?? (options.disabled ? false : device.enabled)),
    properties: { ...Object.fromEntries(kept), ...set.value },
  });
}

/** A MAC that is added anew moves nowhere; one that is taken away may be written in any way. */
function macsAfter(device: Device, { mac, addMac, removeMac }: SetOptions): readonly string[] {
  const plain = (text: string): string => parseMac(text) ?? text;
  const gone = macsOf(removeMac).map(plain);
  const kept = (mac ? macsOf(mac) : device.macs).filter((each) => !gone.includes(plain(each)));
  const there = kept.map(plain);
  return [...kept, ...macsOf(addMac).filter((each) => !there.includes(plain(each)))];
}

const macsOf = (texts: readonly string[] = []): readonly string[] =>
  texts.flatMap((text) => text.split(/[\s,;]+/)).filter(Boolean);

function judged(text: DeviceText): Result<Device, Invalid> {
  const device = parseDevice(text);
  if ('name' in device) return ok(device);
  const lines = device.map(({ column, value, reason }) => `${column} ${JSON.stringify(value)}: ${reason}`);
  return fail('Invalid', lines.join('\n       '));
}

function propertiesOf(texts: readonly string[] = []): Result<Readonly<Record<string, string>>, Invalid> {
  const bad = texts.find((text) => text.indexOf('=') < 1);
  if (bad !== undefined) return fail('Invalid', `property ${JSON.stringify(bad)}: it must look like key=value`);
  return ok(
    Object.fromEntries(texts.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])),
  );
}

/** What became of it, a part each. */
export function differences(before: Device, after: Device): readonly string[] {
  const [old, now] = [before, after].map(partsOf) as [Map<string, string>, Map<string, string>];
  const parts = [...new Set([...old.keys(), ...now.keys()])];
  return parts.flatMap((part) => {
    const [was, is] = [old.get(part) ?? 'none', now.get(part) ?? 'none'];
    return was === is ? [] : [`${part}: ${was} -> ${is}`];
  });
}

const partsOf = ({ macs, uuid, collection, class: access, enabled, properties }: Device): Map<string, string> =>
  new Map([
    ['MAC', macs.join(' ')],
    ['UUID', uuid ?? 'none'],
    ['collection', collection],
    ['class', access ?? "the collection's"],
    ['enabled', String(enabled)],
    ...Object.entries(properties).map(([key, value]) => [`property ${key}`, value] as const),
  ]);
