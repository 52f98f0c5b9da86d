/**
 * The farm's data as every part of bootfarm sees it: rows of the farm database, entries of its replica, inputs of the rules.
 * Names are the glossary's. Resources are keyed by name within the farm; one farm database holds one farm.
 *
 * Each kind is a schema, by which `parse.ts` reads what is stored, and the type that follows from it. A field that the last release did not write has
 * a default; fields of a later one are let through. Optional means that absence says something.
 */
import { type Static, Type } from 'typebox';
import { addressBytes } from '../kit/address.ts';

/** What is read is never changed. */
export type Read<T> = T extends readonly (infer Item)[]
  ? readonly Read<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Read<T[Key]> }
    : T;

const oneOf = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: values });
const strings = Type.Record(Type.String(), Type.String());
/** What PostgreSQL takes as text, too. */
const text = Type.String({ pattern: '^[^\\u0000]+$' });
const whole = (maximum = Number.MAX_SAFE_INTEGER) => Type.Integer({ minimum: 0, maximum });
/** PostgreSQL's integer: an entry beyond it would stand in the way of all that wait behind it. */
const MAX_INTEGER = 2_147_483_647;
/** Of the year 9999: RFC 3339 has none later. */
const LAST_SECOND = 253_402_300_799;
const port = Type.Integer({ minimum: 1, maximum: 65_535 });
const address = Type.Refine(
  Type.String(),
  (value) => addressBytes(value) !== undefined,
  () => 'must be an IPv4 or IPv6 address',
);
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
/** A name in a folder: never a way out of it. */
const fileName = Type.String({ pattern: '^(?!\\.\\.?$)[^/\\u0000]+$', maxLength: 255 });

export const Access = oneOf('Maintenance', 'Test', 'Production');
/** Which class of device may boot a version. */
export type Access = Static<typeof Access>;

export const UnknownDevices = oneOf('Ignore', 'Screen', 'AutoAdd', 'LocalDisk');
export type UnknownDevices = Static<typeof UnknownDevices>;

const StreamMode = oneOf('Trusted', 'Authenticated');
export type StreamMode = Static<typeof StreamMode>;

/** An IPv4 or IPv6 address as text, or a host name, and a port. */
export const Endpoint = Type.Object({ host: text, port });
export type Endpoint = Read<Static<typeof Endpoint>>;

/** What a device is told before it streams. One for all servers of a site. */
export const Boot = Type.Object({
  /** Empty: every registered server of the site. */
  loginServers: Type.Array(Endpoint),
  unknownDevices: UnknownDevices,
  noServer: Type.Object({ action: oneOf('Wait', 'Reboot', 'LocalDisk'), afterSeconds: whole() }),
  verbose: Type.Boolean({ default: false }),
  proxyDHCP: Type.Boolean(),
  tftp: Type.Boolean(),
  /** Bytes of data in a block of TFTP, at most: Ethernet's, or what a tunnel behind a router holds. */
  tftpMaxBlockSize: Type.Integer({ minimum: 512, default: 1_468 }),
  http: Type.Object({ enabled: Type.Boolean(), port }),
  bootFiles: Type.Object({ bios: text, efi64: text }),
});
export type Boot = Read<Static<typeof Boot>>;

/** Where the resource does not say, and for rows of a release that did not know the limits. */
export const AUTO_ADD = { maxDevices: 1_000, maxPerMinute: 10 } as const;

export const Farm = Type.Object({
  /** The farm's identity, a UUID in the database: not the resource's uid. */
  id: text,
  name: text,
  mode: StreamMode,
  offline: Type.Object({ enabled: Type.Boolean(), maxAgeSeconds: whole() }),
  autoAdd: Type.Optional(
    Type.Object({
      collection: text,
      namePrefix: Type.String(),
      digits: whole(63),
      /** Of the farm, added by itself. */
      maxDevices: Type.Integer({ minimum: 0, default: AUTO_ADD.maxDevices }),
      /** By one server. */
      maxPerMinute: Type.Integer({ minimum: 0, default: AUTO_ADD.maxPerMinute }),
    }),
  ),
  suspend: Type.Boolean({ default: false }),
});
export type Farm = Read<Static<typeof Farm>>;

export const Site = Type.Object({
  name: text,
  /** Already merged: the farm's with the site's overrides. */
  boot: Boot,
});
export type Site = Read<Static<typeof Site>>;

export const Collection = Type.Object({
  name: text,
  site: text,
  vdisk: Type.Optional(text),
  class: Access,
  template: Type.Unsafe<Static<typeof strings>>({ ...strings, default: {} }),
});
export type Collection = Read<Static<typeof Collection>>;

/** A named place for vDisk files. */
export const Store = Type.Object({
  name: text,
  /** Absent: the whole farm. */
  site: Type.Optional(text),
  /** Empty lists: every server of the site. */
  pools: Type.Array(Type.String()),
  servers: Type.Array(Type.String()),
  /** Folder on a server, and where single nodes differ. Of a shared store: where its mount is, below `SHARED_STORES`. */
  local: Type.Object({ path: text, nodes: strings }),
  /** All servers see the same files there, once their node has them mounted: nothing is copied within it. Absent: no. */
  shared: Type.Optional(Type.Boolean()),
  /** How often each file is read again and compared with its digest. Absent: once a day. */
  verifyEverySeconds: Type.Optional(whole()),
  /** Servers take from each other what they lack. Absent: they compare only, as releases before it did. */
  replication: Type.Optional(
    Type.Object({
      /** Files that one server takes at once. */
      parallel: Type.Integer({ minimum: 1, default: 2 }),
      /** Absent: no limit. */
      bytesPerSecond: Type.Optional(whole()),
      keepStaleSeconds: whole(),
    }),
  ),
});
export type Store = Read<Static<typeof Store>>;

export const LoadBalancing = Type.Union([
  Type.Object({ algorithm: oneOf('LeastBusy'), subnetAffinity: oneOf('None', 'BestEffort', 'Fixed') }),
  Type.Object({ server: text }),
]);
export type LoadBalancing = Read<Static<typeof LoadBalancing>>;

/** Its files go to another store: `moving.ts`. */
export const Moving = Type.Object({
  /** Names of the stores where they were: in use until it is over. */
  from: Type.Array(text, { minItems: 1 }),
  /** So many servers had all of it right in the new store, since when machines go there. Absent: too few yet. */
  arrived: Type.Optional(whole(MAX_INTEGER)),
  /** The one server that writes into the new store, which is shared. Absent: it is not, or none was chosen yet. */
  by: Type.Optional(text),
});
export type Moving = Read<Static<typeof Moving>>;

export const VDisk = Type.Object({
  name: text,
  store: text,
  /** Absent: all of it is in its store. */
  moving: Type.Optional(Moving),
  /** What the names of its files begin with: `files.ts`. */
  fileName,
  enabled: Type.Boolean(),
  loadBalancing: LoadBalancing,
  overlayMiB: whole(MAX_INTEGER),
  /** Absent: the newest released Production version. */
  bootVersion: Type.Optional(whole(MAX_INTEGER)),
  /** So many servers of its store keep a copy: these. Absent: every one of them. */
  copies: Type.Optional(Type.Object({ wanted: Type.Integer({ minimum: 1 }), servers: Type.Array(text) })),
  /** Kernel command line that the boot script adds for this vDisk. */
  commandLine: Type.String({ default: '' }),
});
export type VDisk = Read<Static<typeof VDisk>>;

/** One file of a version, as it must be. */
export const VersionFile = Type.Object({
  name: fileName,
  sizeBytes: whole(),
  /** 64 hex digits. */
  sha256,
});
export type VersionFile = Read<Static<typeof VersionFile>>;

export const Version = Type.Object({
  vdisk: text,
  number: whole(MAX_INTEGER),
  access: Access,
  /** The manifest that its resource states: it decides what is right. Absent: it leaves that to the farm. */
  sha256: Type.Optional(sha256),
  /** Unix seconds; absent: released. */
  releaseAt: Type.Optional(Type.Integer()),
  /** Unix seconds: since when enough servers had it right. Absent: not yet, and an older version is the default. */
  settledAt: Type.Optional(Type.Integer()),
  /** The right content, once somebody has said what is right; absent: nobody serves it yet. */
  content: Type.Optional(Type.Object({ manifest: sha256, files: Type.Array(VersionFile) })),
});
export type Version = Read<Static<typeof Version>>;

/** What Production devices boot in place of what the VDisk says: of `bootfarm rollback`. */
export const VersionOverride = Type.Object({
  vdisk: text,
  version: whole(MAX_INTEGER),
  /** Unix seconds; absent: until it is cleared. */
  until: Type.Optional(whole(LAST_SECOND)),
});
export type VersionOverride = Read<Static<typeof VersionOverride>>;

export const Device = Type.Object({
  /** DNS label, unique in the farm. */
  name: text,
  /** `aa:bb:cc:dd:ee:ff`, 1 to 8, each unique in the farm. */
  macs: Type.Array(Type.String({ pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' })),
  /** SMBIOS UUID, lower case. */
  uuid: Type.Optional(text),
  /** The MAC of another machine that was seen with this UUID: the device is known by its own MACs alone. */
  uuidSharedWith: Type.Optional(text),
  collection: text,
  /** Absent: the collection's. */
  class: Type.Optional(Access),
  enabled: Type.Boolean(),
  properties: Type.Unsafe<Static<typeof strings>>({ ...strings, default: {} }),
});
export type Device = Read<Static<typeof Device>>;

/** A streaming server as it registered itself. */
export const Server = Type.Object({
  /** The node's name. */
  name: text,
  site: text,
  pool: text,
  address,
  ports: Type.Object({ stream: port, http: port, control: port }),
  powerRating: Type.Number({ exclusiveMinimum: 0, default: 1 }),
});
export type Server = Read<Static<typeof Server>>;

/** One device streaming one version from one server; the highest epoch wins. */
export const Session = Type.Object({
  device: text,
  server: text,
  vdisk: text,
  version: whole(MAX_INTEGER),
  /** Unix milliseconds. */
  since: whole(),
  /** Grows with each move of the device: the Unix milliseconds of its ATTACH, or what is known + 1 where that is higher. */
  epoch: whole(),
  protocol: oneOf('stream'),
});
export type Session = Read<Static<typeof Session>>;

export type CopyState =
  | 'UpToDate'
  | 'Missing'
  | 'OutOfDate'
  | 'PropertiesMissing'
  | 'PropertiesOutOfDate'
  | 'ServerUnreachable'
  | 'Copying'
  | 'Corrupt'
  | 'Conflict';

/** One version on one server's store, as the operator judged it last. */
export const Copy = Type.Object({
  vdisk: text,
  version: whole(MAX_INTEGER),
  server: text,
  /** Of a later release it may be another one. */
  state: Type.Unsafe<CopyState>(Type.String()),
  /** While it is Copying, in steps of 10. */
  progressPercent: Type.Optional(whole(100)),
  /** Of that, as it was at `reportedAt`. */
  secondsLeft: Type.Optional(whole(MAX_INTEGER)),
  /** Empty: there is nothing to say. */
  message: Type.String({ default: '' }),
  /** Of its files as they are; absent: they are not whole, or nobody can be asked. */
  manifest: Type.Optional(sha256),
  /** Unix seconds: since when it is in this state. */
  since: whole(LAST_SECOND),
  /** Unix seconds: of the last change of anything here. */
  reportedAt: whole(LAST_SECOND),
  /** Unix seconds: all of it was read and compared. */
  verifiedAt: Type.Optional(whole(LAST_SECOND)),
});
export type Copy = Read<Static<typeof Copy>>;

/** All small tables of the farm at one moment; devices and sessions, of which there are thousands, are asked for one by one. */
export interface FarmSnapshot {
  readonly farm: Farm;
  readonly sites: readonly Site[];
  readonly collections: readonly Collection[];
  readonly stores: readonly Store[];
  readonly vdisks: readonly VDisk[];
  readonly versions: readonly Version[];
  readonly overrides: readonly VersionOverride[];
  readonly servers: readonly Server[];
  /** Entries that are not as the schemas say, each with what is wrong; absent: none. The rest is served. */
  readonly leftOut?: readonly string[];
}
