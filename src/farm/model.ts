/**
 * The farm's data as every part of bootfarm sees it: rows of the farm database, entries of its replica, inputs of the rules.
 * Names are the glossary's. Resources are keyed by name within the farm; one farm database holds one farm.
 */

/** Which class of device may boot a version. */
export type Access = 'Maintenance' | 'Test' | 'Production';

export type UnknownDevices = 'Ignore' | 'Screen' | 'AutoAdd' | 'LocalDisk';

export type StreamMode = 'Trusted' | 'Authenticated';

/** An IPv4 or IPv6 address as text, and a port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What a device is told before it streams. One for all servers of a site. */
export interface Boot {
  /** Empty: every registered server of the site. */
  readonly loginServers: readonly Endpoint[];
  readonly unknownDevices: UnknownDevices;
  readonly noServer: { readonly action: 'Wait' | 'Reboot' | 'LocalDisk'; readonly afterSeconds: number };
  readonly verbose: boolean;
  readonly proxyDHCP: boolean;
  readonly tftp: boolean;
  readonly http: { readonly enabled: boolean; readonly port: number };
  readonly bootFiles: { readonly bios: string; readonly efi64: string };
}

export interface Farm {
  /** The farm's identity, a UUID in the database: not the resource's uid. */
  readonly id: string;
  readonly name: string;
  readonly mode: StreamMode;
  readonly offline: { readonly enabled: boolean; readonly maxAgeSeconds: number };
  readonly autoAdd?: {
    readonly collection: string;
    readonly namePrefix: string;
    readonly digits: number;
    /** Of the farm, added by itself. */
    readonly maxDevices: number;
    /** By one server. */
    readonly maxPerMinute: number;
  };
  readonly suspend: boolean;
}

export interface Site {
  readonly name: string;
  /** Already merged: the farm's with the site's overrides. */
  readonly boot: Boot;
}

export interface Collection {
  readonly name: string;
  readonly site: string;
  readonly vdisk?: string;
  readonly class: Access;
  readonly template: Readonly<Record<string, string>>;
}

/** A named place for vDisk files. Local stores only, for now. */
export interface Store {
  readonly name: string;
  /** Absent: the whole farm. */
  readonly site?: string;
  /** Empty lists: every server of the site. */
  readonly pools: readonly string[];
  readonly servers: readonly string[];
  /** Folder on a server, and where single nodes differ. */
  readonly local: { readonly path: string; readonly nodes: Readonly<Record<string, string>> };
}

export type LoadBalancing =
  | { readonly algorithm: 'LeastBusy'; readonly subnetAffinity: 'None' | 'BestEffort' | 'Fixed' }
  | { readonly server: string };

export interface VDisk {
  readonly name: string;
  readonly store: string;
  /** Without extension: `lab` stands for lab.raw, lab.1.avhdx, … */
  readonly fileName: string;
  readonly enabled: boolean;
  readonly loadBalancing: LoadBalancing;
  readonly overlayMiB: number;
  /** Absent: the newest released Production version. */
  readonly bootVersion?: number;
  /** Kernel command line that the boot script adds for this vDisk. */
  readonly commandLine: string;
}

/** One file of a version, as it must be. */
export interface VersionFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

export interface Version {
  readonly vdisk: string;
  readonly number: number;
  readonly access: Access;
  /** Unix seconds; absent: released. */
  readonly releaseAt?: number;
  /** The right content, once somebody has said what is right; absent: nobody serves it yet. */
  readonly content?: { readonly manifest: string; readonly files: readonly VersionFile[] };
}

export interface Device {
  /** DNS label, unique in the farm. */
  readonly name: string;
  /** `aa:bb:cc:dd:ee:ff`, 1 to 8, each unique in the farm. */
  readonly macs: readonly string[];
  /** SMBIOS UUID, lower case. */
  readonly uuid?: string;
  readonly collection: string;
  /** Absent: the collection's. */
  readonly class?: Access;
  readonly enabled: boolean;
  readonly properties: Readonly<Record<string, string>>;
}

/** A streaming server as it registered itself. */
export interface Server {
  /** The node's name. */
  readonly name: string;
  readonly site: string;
  readonly pool: string;
  readonly address: string;
  readonly ports: { readonly stream: number; readonly http: number; readonly control: number };
  readonly powerRating: number;
}

/** One device streaming one version from one server; the highest epoch wins. */
export interface Session {
  readonly device: string;
  readonly server: string;
  readonly vdisk: string;
  readonly version: number;
  /** Unix milliseconds. */
  readonly since: number;
  /** Grows with each move of the device: the Unix milliseconds of its ATTACH. */
  readonly epoch: number;
  readonly protocol: 'stream';
}

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

/** All small tables of the farm at one moment; devices and sessions, of which there are thousands, are asked for one by one. */
export interface FarmSnapshot {
  readonly farm: Farm;
  readonly sites: readonly Site[];
  readonly collections: readonly Collection[];
  readonly stores: readonly Store[];
  readonly vdisks: readonly VDisk[];
  readonly versions: readonly Version[];
  readonly servers: readonly Server[];
}
