/**
 * The properties of a version, a `.pvp`. Little-endian, texts in UTF-16; nothing is aligned. Source: PVS-DiskUP (AtumVirt, 2015), which has it from PVS's
 * own library. Pure.
 *
 * ```
 * 0      header (512)    geometry of the disk, write cache, multicast, class and type, schedule, licensing
 * 512    footer (4096)   what people wrote: description, release, author, company, …
 * 4608   names of objects (512 KiB), of which the header says how many bytes count
 * ```
 */
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { big, number, readFields, text, type Values, writeFields } from './fields.ts';

const HEADER_BYTES = 512;
const FOOTER_BYTES = 4_096;
const NAMES_BYTES = 512 << 10;
export const PROPERTIES_BYTES = HEADER_BYTES + FOOTER_BYTES + NAMES_BYTES;

const FOOTER = HEADER_BYTES;

const FIELDS = {
  formatMajor: number(8, 1),
  formatMinor: number(9, 1),
  cylinders: number(12, 4),
  heads: number(16, 4),
  sectorsPerTrack: number(20, 4),
  totalSectors: big(24),
  sectorBytes: number(32, 2),
  /** Of the image: 2 or 16 MiB. */
  blockBytes: number(44, 4),
  /** Counts the changes of the properties. */
  version: number(252, 4),
  writeCacheType: number(256, 4),
  writeCacheMib: number(260, 4),
  multicastEnabled: number(264, 4),
  /** IPv4, the first part in the lowest byte. */
  multicastAddress: number(268, 4),
  multicastTimeToLive: number(272, 1),
  multicastInviteType: number(273, 1),
  multicastInvitePeriod: number(274, 4),
  diskClass: text(278, 41),
  autoUpdateEnabled: number(360, 1),
  activeDay: number(361, 1),
  activeMonth: number(362, 1),
  activeYear: number(363, 2),
  activationDateEnabled: number(365, 1),
  adPasswordEnabled: number(366, 1),
  licenseMask: number(367, 4),
  deviceMask: number(371, 4),
  printerManagementEnabled: number(375, 1),
  objectNamesBytes: number(376, 4),
  objectNamesUpdateTime: number(380, 4),
  ipSecEnabled: number(384, 1),
  osType: number(385, 1),
  portBlockerEnabled: number(386, 1),
  type: text(387, 41),
  propertiesUpdateTime: big(469),
  /** 0 none, 1 MAK, 2 KMS. */
  licenseMode: number(477, 1),
  footerVersion: number(FOOTER, 4),
  description: text(FOOTER + 4, 400),
  majorRelease: number(FOOTER + 804, 4),
  minorRelease: number(FOOTER + 808, 4),
  build: number(FOOTER + 812, 4),
  serialNumber: text(FOOTER + 816, 37),
  date: text(FOOTER + 890, 41),
  author: text(FOOTER + 972, 41),
  title: text(FOOTER + 1_054, 41),
  company: text(FOOTER + 1_136, 41),
  internalName: text(FOOTER + 1_218, 64),
  originalFile: text(FOOTER + 1_346, 128),
  hardwareTarget: text(FOOTER + 1_602, 128),
} as const;

/** By number, as PVS 7.9 names them. Numbers that are none of these are of other releases. */
export const WRITE_CACHES = [
  ...['None', 'Server', 'ServerEncrypted', 'Ram', 'ClientDisk', 'ClientDiskEncrypted', 'RamDisk'],
  ...['ServerDiskPersistent', 'ClientDiskPersistent', 'ClientRamWithOverflow'],
] as const;

export interface PvsProperties extends Values<typeof FIELDS> {
  /** All of the file: what no field says stays as it is. */
  readonly bytes: Buffer;
}

/**
 * - `PropertiesCut`, `PropertiesTooLong`: a file of another size than a `.pvp` has.
 * - `PropertiesInvalid`: it says what it cannot say.
 */
export type PropertiesFault = Fault<'PropertiesCut' | 'PropertiesTooLong' | 'PropertiesInvalid'>;

export function decodeProperties(bytes: Buffer): Result<PvsProperties, PropertiesFault> {
  if (bytes.length < PROPERTIES_BYTES)
    return fail('PropertiesCut', `it has ${bytes.length} bytes, and a .pvp of PVS ${PROPERTIES_BYTES}: copy it again`);
  if (bytes.length > PROPERTIES_BYTES)
    return fail('PropertiesTooLong', `it has ${bytes.length} bytes, and a .pvp of PVS ${PROPERTIES_BYTES}`);
  const values = readFields(FIELDS, bytes);
  if (values.objectNamesBytes > NAMES_BYTES)
    return fail(
      'PropertiesInvalid',
      `it says ${values.objectNamesBytes} bytes of names, and has room for ${NAMES_BYTES}`,
    );
  return ok({ ...values, bytes: Buffer.from(bytes) });
}

/** The file, with the fields as they are now. */
export function encodeProperties({ bytes, ...values }: PvsProperties): Result<Buffer, PropertiesFault> {
  const file = Buffer.from(bytes);
  const unfit = writeFields(FIELDS, values, file);
  if (unfit === undefined) return ok(file);
  const value = JSON.stringify(String(values[unfit as keyof typeof values]).slice(0, 80));
  return fail('PropertiesInvalid', `a .pvp has no room for ${unfit} ${value}: make it shorter`);
}

/** Of a version that has none yet: all is zero, and its size right. */
export const emptyProperties = (): PvsProperties => {
  const bytes = Buffer.alloc(PROPERTIES_BYTES);
  return { ...readFields(FIELDS, bytes), bytes };
};
