/** A device as the API gives and takes it. Pure. */
import { createHash } from 'node:crypto';
import { stringify } from 'safe-stable-stringify';
import type { DeviceFilter, DeviceRow } from '../database/pages.ts';
import { type DeviceText, parseDevice } from '../devices/input.ts';
import { parseMac } from '../farm/address.ts';
import type { Device, Session } from '../farm/model.ts';
import { ok, type Result } from '../kit/result.ts';
import { invalid, type Problem } from './problem.ts';
import type { DeviceNew, DevicePatch, DeviceWhole, NicReplacement } from './schema.ts';

/** Of what can be edited: a session that begins is no change of it. */
export const tagOf = ({ name, macs, uuid, collection, class: access, enabled, properties }: Device): string =>
  `"${createHash('sha256')
    .update(stringify([name, macs, uuid, collection, access, enabled, properties]) ?? '')
    .digest('hex')
    .slice(0, 24)}"`;

/** `ifMatch`: as the header says; absent, or `*`: any. */
export const isMatch = (ifMatch: string | undefined, device: Device): boolean =>
  ifMatch === undefined || ifMatch.trim() === '*' || ifMatch.split(',').some((tag) => tag.trim() === tagOf(device));

export function deviceOf(name: string, said: DeviceWhole): Result<Device, Problem> {
  const { macs, uuid = '', collection, class: access = '', enabled = true, properties = {} } = said;
  return judged({ name, macs, uuid, collection, class: access, enabled: String(enabled), properties });
}

export const newDevice = ({ name, ...said }: DeviceNew): Result<Device, Problem> => deviceOf(name, said);

/** A merge patch: null takes away, what is not named stays. */
export function patched(device: Device, patch: DevicePatch): Result<Device, Problem> {
  const properties = Object.entries({ ...device.properties, ...patch.properties });
  return judged({
    name: device.name,
    macs: patch.macs ?? device.macs,
    uuid: (patch.uuid === undefined ? device.uuid : patch.uuid) ?? '',
    collection: patch.collection ?? device.collection,
    class: (patch.class === undefined ? device.class : patch.class) ?? '',
    enabled: String(patch.enabled ?? device.enabled),
    properties: Object.fromEntries(properties.filter((entry): entry is [string, string] => entry[1] !== null)),
  });
}

/** The new card takes the place of the old one among its MACs: the first is the one it boots with. */
export function withNic(device: Device, { mac, old }: NicReplacement): Result<Device, Problem> {
  const gone = old === undefined ? device.macs[0] : (parseMac(old) ?? old);
  const at = gone === undefined ? -1 : device.macs.indexOf(gone);
  if (at < 0)
    return invalid([
      {
        field: 'old',
        value: old ?? '',
        reason: `device ${device.name} has no such MAC; it has ${device.macs.join(', ')}`,
      },
    ]);
  return patched(device, { macs: device.macs.with(at, mac) });
}

function judged(text: DeviceText): Result<Device, Problem> {
  const device = parseDevice(text);
  if ('name' in device) return ok(device);
  const fieldOf = (column: string) => (column === 'mac' ? 'macs' : column.replace(/^property\./, 'properties.'));
  return invalid(device.map(({ column, value, reason }) => ({ field: fieldOf(column), value, reason })));
}

export const given = (
  { device, session }: DeviceRow,
  siteOf: (collection: string) => string | undefined,
  stale?: object,
): object => {
  const site = siteOf(device.collection);
  return {
    ...device,
    ...(site === undefined ? {} : { site }),
    ...(session ? { session } : {}),
    ...(stale ? { stale } : {}),
  };
};

/** Of a replica: devices with their sessions. */
export function rowsOf(devices: readonly Device[], sessions: readonly Session[]): readonly DeviceRow[] {
  const byDevice = new Map(sessions.map((session) => [session.device, session]));
  return devices.map((device) => {
    const session = byDevice.get(device.name);
    return session ? { device, session } : { device };
  });
}

/** The same as `database/pages.ts` selects, of rows in memory. */
export function selects(
  { collection, site, enabled, streaming, search, within }: DeviceFilter,
  siteOf: (collection: string) => string | undefined,
): (row: DeviceRow) => boolean {
  const allowed = within && new Set(within);
  return ({ device, session }) =>
    (collection === undefined || device.collection === collection) &&
    (site === undefined || siteOf(device.collection) === site) &&
    (enabled === undefined || device.enabled === enabled) &&
    (streaming === undefined || (session !== undefined) === streaming) &&
    (allowed === undefined || allowed.has(device.collection)) &&
    (search === undefined || device.name.includes(search) || device.macs.some((mac) => mac.includes(search)));
}
