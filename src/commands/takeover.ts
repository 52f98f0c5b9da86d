/** A vDisk of a folder of PVS as a VDisk, and what is said beside it: what lacks, and what PVS has that it has no place for. And the way back. Pure. */
import { fileNames } from '../farm/files.ts';
import { word } from '../image/shell.ts';
import { API_VERSION } from '../resources/kind.ts';
import type { VDisk } from '../resources/kinds.ts';
import { unsupported } from '../resources/unsupported.ts';
import type { Stated } from '../store/pvs/export.ts';
import type { FoundVDisk, FoundVersion } from '../store/pvs/folder.ts';
import { type PvsProperties, WRITE_CACHES } from '../store/pvs/properties.ts';
import { imageNamesOf, MAX_VERSION } from '../store/versions.ts';

export interface Named {
  readonly name: string;
  readonly namespace?: string;
  readonly farm: string;
  readonly store: string;
}

type Spec = Pick<VDisk['spec'], 'farmRef' | 'storeRef' | 'fileName' | 'versions' | 'bootVersion'>;
type WriteCache = VDisk['spec']['writeCache'];

export interface TakenOver {
  readonly resource: {
    readonly apiVersion: string;
    readonly kind: 'VDisk';
    readonly metadata: { readonly name: string; readonly namespace?: string };
    readonly spec: Spec & { readonly writeCache?: WriteCache };
  };
  /** The version that machines of class Production boot, by PVS's rule. */
  readonly boots?: number;
  /** What a person has to bring or mend. */
  readonly lacks: readonly string[];
  /** What it says of versions without having been told. */
  readonly assumed: readonly string[];
  /** What PVS says and the VDisk does not. */
  readonly left: readonly string[];
}

const MAX_DESCRIPTION = 1_024;

export function takeOver(found: FoundVDisk, { name, namespace, farm, store }: Named, nowMs: number): TakenOver {
  const taken = found.versions.filter((version) => isTaken(found.fileName, version));
  const [boots, booted] = [bootedBy(taken, nowMs), bootedBy(found.versions, nowMs)];
  const overridden = taken.filter(({ access }) => access === 'Override');
  const cache = boots && writeCacheOf(boots);
  return {
    resource: {
      ...{
        apiVersion: API_VERSION,
        kind: 'VDisk',
        metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      },
      spec: {
        ...{ farmRef: { name: farm }, storeRef: { name: store }, fileName: found.fileName },
        ...(cache?.spec ? { writeCache: cache.spec } : {}),
        ...(boots && overridden.includes(boots) ? { bootVersion: boots.number } : {}),
        versions: taken.map(entryOf),
      },
    },
    ...(boots ? { boots: boots.number } : {}),
    lacks: [
      ...(boots ? [] : ['no version is Production and released: machines boot none before one is promoted']),
      ...(boots && booted !== boots
        ? [`PVS boots version ${booted?.number}, and machines would boot ${boots.number}`]
        : []),
      ...found.versions.flatMap((version) => lacksOf(found.fileName, version)),
    ],
    assumed: found.versions
      .filter(({ isAssumed, image }) => isAssumed && image.ok)
      .map(({ number, access }) => `version ${number} is ${access}: no manifest says anything of it`),
    left: [
      ...(overridden.length > 1
        ? [`versions ${overridden.map(({ number }) => number).join(', ')} are all Override: bootVersion is the newest`]
        : []),
      ...(cache?.left ?? []),
      ...found.versions.flatMap(leftOf),
      ...(boots ? propertiesLeft(boots) : []),
    ],
  };
}

const ACCESS: Readonly<Record<FoundVersion['access'], VDisk['spec']['versions'][number]['access'] | undefined>> = {
  Production: 'Production',
  Override: 'Production',
  Test: 'Test',
  Maintenance: 'Maintenance',
  MaintenanceHighestVersion: 'Maintenance',
  Merge: undefined,
  MergeMaintenance: undefined,
  MergeTest: undefined,
};

const isTaken = (fileName: string, { number, access, image, diskFileName }: FoundVersion): boolean =>
  image.ok &&
  ACCESS[access] !== undefined &&
  number <= MAX_VERSION &&
  imageNamesOf(fileName, number).includes(diskFileName);

/** What PVS boots: an override before all, else the newest released one. */
function bootedBy(versions: readonly FoundVersion[], nowMs: number): FoundVersion | undefined {
  const newest = versions.toSorted((a, b) => b.number - a.number);
  const isReleased = ({ access, scheduledAt = 0 }: FoundVersion): boolean =>
    access === 'Production' && scheduledAt <= nowMs;
  return newest.find(({ access }) => access === 'Override') ?? newest.find(isReleased);
}

function entryOf(version: FoundVersion): VDisk['spec']['versions'][number] {
  const { number, access, scheduledAt } = version;
  const description = descriptionOf(version).slice(0, MAX_DESCRIPTION).toWellFormed();
  return {
    ...{ number, access: ACCESS[access] ?? 'Maintenance' },
    ...(access === 'Production' && scheduledAt !== undefined ? { releaseAt: inSeconds(scheduledAt) } : {}),
    ...(description === '' ? {} : { description }),
  };
}

/** RFC 3339 has years of four digits. .NET's last date is the last tenth of a microsecond before the next one. */
const LAST_MS = Date.UTC(9_999, 11, 31, 23, 59, 59);
/** Never before it, but where that is never. */
const inSeconds = (ms: number): string =>
  new Date(Math.min(LAST_MS, Math.ceil(ms / 1_000) * 1_000)).toISOString().replace('.000Z', 'Z');

const descriptionOf = ({ description, properties }: FoundVersion): string =>
  description || (properties?.ok ? properties.value.description.trim() : '');

/** `spec`: what the VDisk says; absent: its default. */
function writeCacheOf({ properties, propertiesName }: FoundVersion): { readonly spec?: WriteCache; left: string[] } {
  if (!properties?.ok) return { left: [] };
  const { writeCacheType, writeCacheMib } = properties.value;
  const said = WRITE_CACHES[writeCacheType] ?? String(writeCacheType);
  const type = WRITE_CACHE[said];
  const why = type === undefined ? NO_WRITE_CACHE[said] : unsupported('VDisk', { writeCache: { type } });
  if (type === undefined || why !== undefined)
    return {
      left: [
        `write cache ${said} of ${propertiesName}: ${why ?? 'this release knows no such one'}; writeCache has its default`,
      ],
    };
  const sizeMiB = Math.min(16_777_216, Math.max(16, writeCacheMib));
  return { spec: { type, sizeMiB }, left: [] };
}

const WRITE_CACHE: Readonly<Record<string, WriteCache['type']>> = {
  ...{ Ram: 'DeviceRAM', RamDisk: 'DeviceRAM', ClientRamWithOverflow: 'DeviceRAMWithOverflow' },
  ...{ ClientDisk: 'DeviceDisk', ClientDiskEncrypted: 'DeviceDisk', ClientDiskPersistent: 'DeviceDisk' },
  ...{ Server: 'Server', ServerEncrypted: 'Server', ServerDiskPersistent: 'Server' },
};
const NO_WRITE_CACHE: Readonly<Record<string, string>> = {
  None: 'it is a private image, which one machine writes; here all machines read it, and each has its own writes',
};

function lacksOf(fileName: string, version: FoundVersion): string[] {
  const { number, access, image, diskFileName, sizeBytes, properties, bootFiles, isAssumed, beside } = version;
  if (ACCESS[access] === undefined)
    return [`version ${number} was being merged (${access}): it is left out; merge again by bootfarm vdisk merge`];
  if (number > MAX_VERSION)
    return [
      `version ${number} is left out: numbers end at ${MAX_VERSION}, give it a lower one in its names and the manifest`,
    ];
  if (!image.ok) {
    const isGone = !isAssumed && image.error.code === 'FileMissing' && image.error.message.endsWith('does not exist');
    const renamed = isGone ? `; put it there, or, where it was renamed, say so in <diskFileName> of the manifest` : '';
    return [`version ${number} is left out: ${image.error.message}${renamed}`];
  }
  const names = imageNamesOf(fileName, number);
  if (!names.includes(diskFileName))
    return [`version ${number} is left out: servers look for ${names.join(', ')}: rename ${diskFileName}`];
  const { kernel, initrd } = fileNames(fileName, number);
  const boots = [kernel, initrd].filter((name) => !bootFiles.includes(name));
  const { fileBytes } = image.value;
  return [
    ...(beside.before === undefined
      ? []
      : [`version ${number} is ${diskFileName}, and servers take ${beside.before} beside it: remove one of them`]),
    ...(sizeBytes === undefined || isAssumed || sizeBytes === fileBytes
      ? []
      : [
          `${diskFileName} has ${fileBytes} bytes, and the manifest says ${sizeBytes}: it was copied at another time than the manifest was written`,
        ]),
    ...(properties?.ok === false ? [`${properties.error.message}; it stays as it is`] : []),
    ...(boots.length > 0 ? [`${boots.join(' and ')}: machines boot version ${number} with them, put them there`] : []),
  ];
}

function leftOf(version: FoundVersion): string[] {
  const { number, type, access, scheduledAt, deleteWhenFree, beside } = version;
  const said = [
    ...(beside.instead === undefined
      ? []
      : [`${beside.instead}, for servers take ${version.diskFileName} instead of it`]),
    ...(type === 'Automatic' ? ['its type Automatic'] : []),
    ...(access === 'MaintenanceHighestVersion' ? ['that it was the highest one in maintenance'] : []),
    ...(scheduledAt !== undefined && access !== 'Production' ? [`its date, for it is ${access}`] : []),
    ...(deleteWhenFree ? ['that PVS removes it when nobody uses it: bootfarm removes no files'] : []),
    ...(descriptionOf(version).length > MAX_DESCRIPTION
      ? [`of its description what is beyond ${MAX_DESCRIPTION} characters`]
      : []),
  ];
  return said.map((what) => `version ${number}: ${what}`);
}

/** Of the version that boots. */
function propertiesLeft({ properties, propertiesName }: FoundVersion): string[] {
  if (!properties?.ok) return [];
  const said = SAID.flatMap(([what, of]) => {
    const value = of(properties.value);
    return value ? [`${what} ${String(value).replaceAll(/\p{Cc}+/gu, ' ')}`] : [];
  });
  return said.length === 0 ? [] : [`${propertiesName} says, and keeps: ${said.join(', ')}`];
}

const SAID: readonly (readonly [string, (properties: PvsProperties) => string | number | false])[] = [
  ['class', ({ diskClass }) => diskClass],
  ['type', ({ type }) => type],
  ['licence', ({ licenseMode }) => ['', 'MAK', 'KMS'][licenseMode] ?? licenseMode],
  ['multicast', ({ multicastEnabled }) => multicastEnabled > 0 && 'enabled'],
  ['machine passwords', ({ adPasswordEnabled }) => adPasswordEnabled > 0 && 'managed'],
  ['printers', ({ printerManagementEnabled }) => printerManagementEnabled > 0 && 'managed'],
  ['author', ({ author }) => author],
  ['company', ({ company }) => company],
];

/** As a VDisk has `fileName`. */
export const isFileName = (name: string): boolean =>
  /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name) && !/\.\d+$/.test(name) && name.length <= MAX_FILE_NAME;

const MAX_FILE_NAME = 128;

/** Lines for a shell that give the files of a vDisk a name that a VDisk can have, in the manifest, too. */
export function renameLines(folder: string, fileName: string, there: readonly string[]): readonly string[] {
  const plain = fileName.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/\.(\d+)$/, '-$1');
  const name = plain.replace(/^[-.]+|[-.]+$/g, '').slice(0, MAX_FILE_NAME) || 'vdisk';
  const own = there.filter((one) => one.startsWith(`${fileName}.`));
  const manifests = own.filter((one) => one.toLowerCase().endsWith('.xml'));
  const renamed = (one: string): string => name + one.slice(fileName.length);
  const inXml = fileName.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const pattern = inXml.replace(/[\\/.*[\]^$]/g, '\\$&');
  return [
    `cd ${word(folder)}`,
    ...own.map((one) => `mv -n ${word(one)} ${word(renamed(one))}`),
    ...manifests.map(
      (one) => `sed -i ${word(`s/<diskFileName>${pattern}\\./<diskFileName>${name}./`)} ${word(renamed(one))}`,
    ),
  ];
}

/** What PVS is told of the versions of a VDisk. */
export const statedBy = ({ spec: { versions, bootVersion } }: VDisk): readonly Stated[] =>
  (versions.length > 0 ? versions : [{ number: 0, access: 'Production' as const }]).map(
    ({ number, access, releaseAt, description = '' }: VDisk['spec']['versions'][number]) => ({
      ...{ number, description },
      access: number === bootVersion ? 'Override' : access,
      ...(releaseAt === undefined ? {} : { scheduledAt: Date.parse(releaseAt) }),
    }),
  );
