/** One thing as a person reads it: a line a field. Pure. */
import { inShort, inUnits } from '../kit/units.ts';
import { plain, tableText } from '../terminal/table.ts';
import type { DeviceAnswer, VDiskAnswer, VersionAnswer } from './answers.ts';

type Field = readonly [name: string, value: string | number | undefined];

/** What is not there is no line. */
function fieldsText(fields: readonly Field[]): string {
  const there = fields.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...there.map(([name]) => name.length));
  return there.map(([name, value]) => `${plain(name).padEnd(width)}   ${plain(String(value))}\n`).join('');
}

export function deviceText(device: DeviceAnswer, nowMs: number): string {
  const { name, macs, uuid, uuidSharedWith, collection, site, class: access, enabled, properties, session } = device;
  const shared = uuidSharedWith === undefined ? '' : ` (${uuidSharedWith} has it too: not used)`;
  return fieldsText([
    ['name', name],
    ['MAC', macs.join(' ')],
    ['UUID', uuid === undefined ? undefined : `${uuid}${shared}`],
    ['collection', `${collection}${site === undefined ? '' : `, site ${site}`}`],
    ['class', access ?? "the collection's"],
    ['may boot', enabled ? 'yes' : 'no: it is disabled'],
    [
      'streams',
      session
        ? `${session.vdisk}/${session.version} from ${session.server} for ${inShort(Math.max(0, Math.floor((nowMs - session.since) / 1_000)))}`
        : 'nothing',
    ],
    ...Object.entries(properties).map(([key, value]): Field => [`property ${key}`, value]),
  ]);
}

const VERSION_COLUMNS = [
  { title: 'VERSION', cell: ({ number }: VersionAnswer) => number },
  { title: 'TYPE', cell: ({ type }: VersionAnswer) => type },
  { title: 'ACCESS', cell: ({ access }: VersionAnswer) => access },
  { title: 'STATE', cell: ({ state }: VersionAnswer) => state },
  {
    title: 'COPIES',
    cell: ({ upToDate, copies }: VersionAnswer) => (copies === undefined ? undefined : `${upToDate ?? 0}/${copies}`),
  },
  {
    title: 'SIZE',
    cell: ({ sizeBytes }: VersionAnswer) => (sizeBytes === undefined ? undefined : inUnits(sizeBytes)),
  },
  { title: 'SHA-256', cell: ({ sha256 }: VersionAnswer) => sha256, isWide: true as const },
  { title: 'MESSAGE', cell: ({ message }: VersionAnswer) => message, atLeast: 16 },
];

export function vdiskText(vdisk: VDiskAnswer, width: number | undefined): string {
  const { name, store, fileName, enabled, bootVersion, sizeBytes, devices, upToDate, versions, conditions } = vdisk;
  const said = conditions.map(
    ({ type, status, reason, message }): Field => [type, `${status}, ${reason}${message ? `: ${message}` : ''}`],
  );
  const fields = fieldsText([
    ['name', name],
    ['store', `${store}, files ${fileName}`],
    ['may boot', enabled ? 'yes' : 'no: it is disabled'],
    ['boots', bootVersion === undefined ? 'no version yet' : `version ${bootVersion}`],
    ['copies', upToDate === undefined ? undefined : `${upToDate} have it right`],
    ['devices', devices],
    ['size', sizeBytes === undefined ? undefined : inUnits(sizeBytes)],
    ...said,
  ]);
  return versions.length === 0 ? fields : `${fields}\n${tableText(VERSION_COLUMNS, versions, { width })}`;
}
