/** What a person types about a device, checked field by field. Pure. */
import { isUuid, parseMac, parseUuid } from '../farm/address.ts';
import type { Device } from '../farm/model.ts';
import { ACCESSES } from '../farm/version.ts';

/** As text, from options or from a line of a file; empty stands for absent. */
export interface DeviceText {
  readonly name: string;
  readonly macs: readonly string[];
  readonly uuid: string;
  readonly collection: string;
  readonly class: string;
  readonly enabled: string;
  readonly properties: Readonly<Record<string, string>>;
}

export type Column = 'name' | 'mac' | 'uuid' | 'collection' | 'class' | 'enabled' | `property.${string}`;

/** One thing wrong: where, what stands there, and what would be right. */
export interface Complaint {
  readonly column: Column;
  readonly value: string;
  readonly reason: string;
}

const MAX_MACS = 8;
const MAX_PROPERTIES_BYTES = 65_536;
/** Characters of a value that a complaint repeats. */
export const MAX_SHOWN = 200;

/** The device, or all that is wrong with it. */
export function parseDevice(text: DeviceText): Device | readonly Complaint[] {
  const complaints: Complaint[] = [];
  const complain = (column: Column, value: string, reason: string): void => {
    complaints.push({ column, value: value.slice(0, MAX_SHOWN), reason });
  };
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text.name))
    complain('name', text.name, 'a name is 1 to 63 of a-z, 0-9 and -, and neither begins nor ends with -');
  const macs = text.macs.slice(0, MAX_MACS).map((mac) => {
    const parsed = parseMac(mac);
    if (parsed === undefined)
      complain(
        'mac',
        mac,
        'a MAC is six bytes in hex, like 52:54:00:12:34:56, neither all zeros nor a multicast address',
      );
    return parsed ?? mac;
  });
  if (macs.length === 0) complain('mac', '', 'a device needs a MAC');
  if (text.macs.length > MAX_MACS)
    complain('mac', macs.join(' '), `a device has at most ${MAX_MACS} MACs, not ${text.macs.length}`);
  const twice = macs.find((mac, index) => macs.indexOf(mac) !== index);
  if (twice !== undefined) complain('mac', twice, 'it is there twice');
  const uuid = text.uuid.toLowerCase();
  if (uuid !== '' && !isUuid(uuid))
    complain('uuid', text.uuid, 'a UUID looks like 6d3c8a62-1b5f-4d0c-9c3e-0123456789ab');
  else if (uuid !== '' && parseUuid(uuid) === undefined)
    complain('uuid', text.uuid, 'boards that were never given a UUID say this one: leave it out, the MAC is enough');
  if (text.collection === '') complain('collection', '', 'a device belongs to a collection');
  const access = ACCESSES.find((known) => known.toLowerCase() === text.class.toLowerCase());
  if (text.class !== '' && !access) complain('class', text.class, `a class is one of ${ACCESSES.join(', ')}`);
  if (!['', 'true', 'false'].includes(text.enabled.toLowerCase()))
    complain('enabled', text.enabled, 'enabled is true or false');
  for (const [key, value] of Object.entries(text.properties)) {
    const wrong = wrongProperty(key, value);
    if (wrong !== undefined) complain(`property.${key.slice(0, MAX_SHOWN)}`, value, wrong);
  }
  if (Buffer.byteLength(JSON.stringify(text.properties)) > MAX_PROPERTIES_BYTES)
    complain('property.*', '', `the properties of a device are at most ${MAX_PROPERTIES_BYTES} bytes`);
  if (complaints.length > 0) return complaints;
  return {
    name: text.name,
    macs,
    ...(uuid === '' ? {} : { uuid }),
    collection: text.collection,
    ...(access ? { class: access } : {}),
    enabled: text.enabled.toLowerCase() !== 'false',
    properties: text.properties,
  };
}

/** What PostgreSQL, or a file of devices, would not give back as it was. */
function wrongProperty(key: string, value: string): string | undefined {
  if (key === '' || key !== key.trim()) return 'a property has a name, without spaces around it';
  if (value === '') return 'a property has a value: leave it out';
  if (!isText(key) || !isText(value)) return 'a property is text: no NUL, and no half of a surrogate pair';
  return undefined;
}

/** Whether PostgreSQL can hold it. */
export const isText = (value: string): boolean => !value.includes('\0') && value.isWellFormed();

export const describeComplaint = ({ column, value, reason }: Complaint): string =>
  `column ${column}, value ${JSON.stringify(value)}: ${reason}`;
