/** What the standards say about options, as data: names, how a value reads, where it is written. */

/** How the bytes of a value are read. `list` is a list of codes, `types` one of 16-bit numbers; `options` are options within an option. */
export type ValueKind =
  | 'address'
  | 'text'
  | 'byte'
  | 'uint16'
  | 'uint32'
  | 'type'
  | 'types'
  | 'list'
  | 'options'
  | 'bytes';

export interface OptionFact {
  readonly code: number;
  readonly kind: ValueKind;
  /** Of an option whose value has always so many. */
  readonly bytes?: number;
  readonly section: string;
}

export const OPTIONS = {
  subnetMask: { code: 1, kind: 'address', bytes: 4, section: 'RFC 2132 3.3' },
  router: { code: 3, kind: 'address', section: 'RFC 2132 3.5' },
  hostName: { code: 12, kind: 'text', section: 'RFC 2132 3.14' },
  vendorOptions: { code: 43, kind: 'options', section: 'RFC 2132 8.4, PXE 2.1 table 2-1' },
  requestedAddress: { code: 50, kind: 'address', bytes: 4, section: 'RFC 2132 9.1' },
  leaseSeconds: { code: 51, kind: 'uint32', bytes: 4, section: 'RFC 2132 9.2' },
  overload: { code: 52, kind: 'byte', bytes: 1, section: 'RFC 2132 9.3' },
  messageType: { code: 53, kind: 'type', bytes: 1, section: 'RFC 2132 9.6' },
  serverId: { code: 54, kind: 'address', bytes: 4, section: 'RFC 2132 9.7' },
  parameters: { code: 55, kind: 'list', section: 'RFC 2132 9.8' },
  maxMessageBytes: { code: 57, kind: 'uint16', bytes: 2, section: 'RFC 2132 9.10' },
  vendorClass: { code: 60, kind: 'text', section: 'RFC 2132 9.13' },
  clientId: { code: 61, kind: 'bytes', section: 'RFC 2132 9.14' },
  tftpServer: { code: 66, kind: 'text', section: 'RFC 2132 9.4' },
  bootFile: { code: 67, kind: 'text', section: 'RFC 2132 9.5' },
  /** RFC 3004 wants length-prefixed classes; iPXE and most sites send plain text. Read as text: see `userClass`. */
  userClass: { code: 77, kind: 'text', section: 'RFC 3004 4' },
  relayAgent: { code: 82, kind: 'options', section: 'RFC 3046 2' },
  architecture: { code: 93, kind: 'types', section: 'RFC 4578 2.1' },
  networkInterface: { code: 94, kind: 'bytes', bytes: 3, section: 'RFC 4578 2.2' },
  clientUuid: { code: 97, kind: 'bytes', bytes: 17, section: 'RFC 4578 2.3' },
  /** iPXE's features and network card, options within the option: ipxe.org/howto/dhcpd. */
  ipxe: { code: 175, kind: 'options', section: 'ipxe.org/howto/dhcpd' },
} as const satisfies Record<string, OptionFact>;
export type OptionName = keyof typeof OPTIONS;

/** By code. */
export const FIXED_BYTES: ReadonlyMap<number, number> = new Map(
  Object.values<OptionFact>(OPTIONS).flatMap(({ code, bytes }) => (bytes === undefined ? [] : [[code, bytes]])),
);

/** Within option 43, when the vendor class is PXEClient: PXE 2.1, table 2-1. */
export const PXE_OPTIONS = { discoveryControl: 6, bootServers: 8, bootMenu: 9, menuPrompt: 10, menuItem: 71 } as const;

/** `discoveryControl`: bit 3 says that the file named in this packet is the one to load, without asking a boot server. */
export const USE_FILE_OF_OFFER = 8;

/** RFC 2132 9.6. */
export const MESSAGE_TYPES = {
  DISCOVER: 1,
  OFFER: 2,
  REQUEST: 3,
  DECLINE: 4,
  ACK: 5,
  NAK: 6,
  RELEASE: 7,
  INFORM: 8,
} as const;
export type MessageType = keyof typeof MESSAGE_TYPES;

/** Processor architecture types (RFC 4578 2.1 and its IANA registry) whose firmware loads a 64-bit x86 EFI file; 0 is a BIOS. */
export const ARCHITECTURE_BIOS = 0;
export const ARCHITECTURES_EFI64: ReadonlySet<number> = new Set([7, 9]);

/** Within option 175: this iPXE fetches over HTTP. */
export const IPXE_FEATURE_HTTP = 19;

/** Within option 82 (RFC 8357 5.2): the relay hears at the port that it sends from. */
export const RELAY_SOURCE_PORT = 19;
