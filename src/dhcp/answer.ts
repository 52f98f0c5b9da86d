/**
 * What a machine's question is answered with, or why with silence. Pure: request, bootstrap and verdict are all it knows, so every server of a
 * site gives the same answer but for its own address. Why the iPXE rules are these and no others: README.md, "Which iPXE is asking".
 */
import { authority, type Bootstrap } from '../farm/bootstrap.ts';
import type { UnknownDevices } from '../farm/model.ts';
import { ipv4Bytes } from '../kit/address.ts';
import { type Fault, never, type Result } from '../kit/result.ts';
import {
  ARCHITECTURE_BIOS,
  ARCHITECTURES_EFI64,
  IPXE_FEATURE_HTTP,
  MESSAGE_TYPES,
  OPTIONS,
  PXE_OPTIONS,
  RELAY_SOURCE_PORT,
  USE_FILE_OF_OFFER,
} from './options.ts';
import {
  architectures,
  broadcasts,
  type DhcpOption,
  type EncodeFault,
  encode,
  encodeOptions,
  inner,
  mac,
  messageType,
  mostBytes,
  option,
  PADDING,
  type Packet,
  text,
  userClass,
  uuid,
} from './packet.ts';

const VENDOR_CLASS = 'PXEClient';
/** Set by our scripts and by our offer of undionly: an iPXE that says so goes straight to the script. */
const USER_CLASS = 'bootfarm';
const IPXE_CLASS = 'iPXE';
const LOCAL_BOOT = 'Local disk';

/** The port of ours a packet came in by. */
export type Listener = 'dhcp' | 'pxe';

export interface Machine {
  readonly mac: string;
  /** SMBIOS UUID, lower case. */
  readonly uuid?: string;
  /** Client architecture, the first of option 93; a client without one is a BIOS. */
  readonly architecture: number;
}

/** Whether the farm knows the machine; `action` is the site's rule for machines that it does not. */
export type Verdict =
  | { readonly kind: 'known' }
  | {
      readonly kind: 'unknown';
      readonly action: UnknownDevices;
      /** Why it is answered as an unknown machine though it may be none: for the story of its boot. */
      readonly reason?: Fault;
    };

/** This server, as its answers name it. */
export interface Self {
  readonly address: string;
  readonly httpPort: number;
}

export type Silence =
  | 'NotARequest'
  | 'NotDiscoverOrRequest'
  | 'NotPXEClient'
  | 'NoMac'
  | 'ForAnotherServer'
  | 'BadRelay'
  | 'UnknownDevice'
  | 'NoBootFile'
  | 'TftpDisabled'
  | 'HttpDisabled'
  | 'ProxyDHCPDisabled';

export type Boot =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'script'; readonly url: string }
  | { readonly kind: 'localDisk' };

/** Is this a question for a ProxyDHCP server, and whose? */
export function question(
  packet: Packet,
  listener: Listener,
  address: string,
): { readonly machine: Machine } | { readonly silence: Silence } {
  if (packet.op !== 'request') return { silence: 'NotARequest' };
  const type = messageType(packet);
  const asked = type === 'REQUEST' || (type === 'DISCOVER' && listener === 'dhcp');
  if (!asked) return { silence: 'NotDiscoverOrRequest' };
  if (!text(option(packet, 'vendorClass'))?.startsWith(VENDOR_CLASS)) return { silence: 'NotPXEClient' };
  const serverId = option(packet, 'serverId');
  // On 67 a REQUEST takes up one server's offer and is broadcast: it is ours only when it names us (RFC 2131 section 4.3.2).
  if (type === 'REQUEST' && listener === 'dhcp' && !(serverId && ipv4Bytes(address)?.equals(serverId)))
    return { silence: 'ForAnotherServer' };
  const machineMac = mac(packet);
  if (!machineMac) return { silence: 'NoMac' };
  const id = uuid(packet);
  return {
    machine: {
      mac: machineMac,
      ...(id ? { uuid: id } : {}),
      architecture: architectures(packet)[0] ?? ARCHITECTURE_BIOS,
    },
  };
}

/** What the machine loads next. The first rule that holds decides. */
export function bootOf(packet: Packet, verdict: Verdict, bootstrap: Bootstrap, self: Self): Boot | Silence {
  const { boot } = bootstrap;
  if (!boot.proxyDHCP) return 'ProxyDHCPDisabled';
  const action = verdict.kind === 'known' ? 'Boot' : verdict.action;
  const canScript = isIpxe(packet) && inner(packet, 'ipxe', IPXE_FEATURE_HTTP)?.[0] !== undefined;
  const script = (): Boot | Silence =>
    boot.http.enabled
      ? { kind: 'script', url: `http://${authority({ host: self.address, port: self.httpPort })}/boot` }
      : 'HttpDisabled';
  switch (action) {
    case 'Ignore':
      return 'UnknownDevice';
    case 'LocalDisk':
      // A script that ends iPXE is surer than a menu in iPXE; firmware knows menus only.
      return canScript ? script() : { kind: 'localDisk' };
    case 'Boot':
    case 'Screen':
    case 'AutoAdd':
      break;
    default:
      return never(action);
  }
  const kinds = architectures(packet);
  const kind = kinds.find((one) => bootFile(one, bootstrap)) ?? kinds[0] ?? ARCHITECTURE_BIOS;
  if (canScript && (userClass(packet) === USER_CLASS || kind !== ARCHITECTURE_BIOS || broadcasts(packet)))
    return script();
  const file = bootFile(kind, bootstrap);
  if (!file) return 'NoBootFile';
  return boot.tftp ? { kind: 'file', file } : 'TftpDisabled';
}

const isIpxe = (packet: Packet): boolean => [IPXE_CLASS, USER_CLASS].includes(userClass(packet) ?? '');

function bootFile(kind: number, { boot }: Bootstrap): string | undefined {
  if (kind === ARCHITECTURE_BIOS) return boot.bootFiles.bios;
  return ARCHITECTURES_EFI64.has(kind) ? boot.bootFiles.efi64 : undefined;
}

/** OFFER to a DISCOVER, ACK to a REQUEST; it never gives an address and is never a NAK. */
export function answerPacket(request: Packet, boot: Boot, self: Self): Packet {
  const name = boot.kind === 'file' ? boot.file : boot.kind === 'script' ? boot.url : '';
  const address = ipv4Bytes(self.address) ?? Buffer.alloc(4);
  const type = messageType(request) === 'DISCOVER' ? MESSAGE_TYPES.OFFER : MESSAGE_TYPES.ACK;
  const of = (code: number, data: string | Uint8Array): DhcpOption => ({
    code,
    data: typeof data === 'string' ? Buffer.from(data, 'latin1') : data,
  });
  const echoed = request.options.filter(({ code }) => ECHOED.has(code));
  const relay = request.options.filter(({ code }) => code === OPTIONS.relayAgent.code);
  return {
    op: 'reply',
    htype: request.htype,
    hops: 0,
    xid: request.xid,
    secs: 0,
    flags: request.flags,
    ciaddr: request.ciaddr,
    yiaddr: '0.0.0.0',
    siaddr: boot.kind === 'localDisk' ? '0.0.0.0' : self.address,
    giaddr: request.giaddr,
    chaddr: request.chaddr,
    sname: '',
    file: name,
    options: [
      of(OPTIONS.messageType.code, Buffer.of(type)),
      of(OPTIONS.serverId.code, address),
      of(OPTIONS.vendorClass.code, VENDOR_CLASS),
      ...echoed,
      of(OPTIONS.vendorOptions.code, boot.kind === 'localDisk' ? LOCAL_BOOT_MENU : LOAD_FILE),
      // A zero behind each: ROMs read them as C strings, and what follows is 255 or another option's code.
      ...(name ? [of(OPTIONS.tftpServer.code, self.address), PADDING, of(OPTIONS.bootFile.code, name), PADDING] : []),
      // A chained iPXE inherits its loader's settings: it then asks as `bootfarm`, the second guard against loading itself again.
      ...(boot.kind === 'file' && isIpxe(request) ? [of(OPTIONS.userClass.code, USER_CLASS)] : []),
      // RFC 3046 2.2: the relay's option is the last.
      ...relay,
    ],
  };
}

/** The UUID by RFC 4578 2.3; the client's identifier by RFC 6842: some drop an answer without it. */
const ECHOED: ReadonlySet<number> = new Set([OPTIONS.clientUuid.code, OPTIONS.clientId.code]);

/** What an answer that is too large for its client goes without, in order: header fields say the first two, and RFC 3046 2.2 lets the relay's go. */
const SPARED: readonly (readonly number[])[] = [
  [OPTIONS.tftpServer.code, OPTIONS.bootFile.code],
  [OPTIONS.tftpServer.code, OPTIONS.bootFile.code, OPTIONS.relayAgent.code],
];

/** The answer's bytes, no more of them than the client takes (option 57) and a packet of our interface has. */
export function answerBytes(request: Packet, boot: Boot, self: Self, mtu?: number): Result<Uint8Array, EncodeFault> {
  const answer = answerPacket(request, boot, self);
  const most = mostBytes(request, mtu);
  let encoded = encode(answer, most);
  for (const spared of SPARED) {
    if (encoded.ok || encoded.error.code !== 'TooLong') break;
    encoded = encode({ ...answer, options: answer.options.filter(({ code }) => !spared.includes(code)) }, most);
  }
  return encoded;
}

const END = Buffer.of(255);

const LOAD_FILE = Buffer.concat([
  encodeOptions([{ code: PXE_OPTIONS.discoveryControl, data: Buffer.of(USE_FILE_OF_OFFER) }]),
  END,
]);

/** PXE 2.1: a menu of one entry of type 0, "boot from the local disk", chosen at once. */
const LOCAL_BOOT_MENU = Buffer.concat([
  encodeOptions([
    { code: PXE_OPTIONS.discoveryControl, data: Buffer.of(7) },
    {
      code: PXE_OPTIONS.bootMenu,
      data: Buffer.from(`\0\0${String.fromCharCode(LOCAL_BOOT.length)}${LOCAL_BOOT}`, 'latin1'),
    },
    { code: PXE_OPTIONS.menuPrompt, data: Buffer.from(`\0${LOCAL_BOOT}`, 'latin1') },
  ]),
  END,
]);

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

const CLIENT_PORT = 68;
const SERVER_PORT = 67;

/**
 * Where the answer is heard: at the relay; by everybody on the link where the machine has no address, or says that it hears nothing else (RFC 2131 4.1:
 * the flag counts unless it has an address; its sender's may be an old one of another network); else at the address that it sends from.
 */
export function destination(request: Packet, source: Endpoint, listener: Listener): Endpoint {
  if (request.giaddr !== '0.0.0.0') {
    // RFC 8357: a relay that says so hears at the port it sends from. Only at its own address: nobody is to point us at any port of another machine.
    const own = source.address === request.giaddr && inner(request, 'relayAgent', RELAY_SOURCE_PORT) !== undefined;
    return { address: request.giaddr, port: own ? source.port : SERVER_PORT };
  }
  const everybody = source.address === '0.0.0.0' || (broadcasts(request) && request.ciaddr === '0.0.0.0');
  // On 4011 a machine has the address that it asks from (PXE 2.1, 2.2.3), whatever flag its DISCOVER had.
  if (everybody && (listener === 'dhcp' || source.address === '0.0.0.0'))
    return { address: '255.255.255.255', port: CLIENT_PORT };
  // To the source, never to a ciaddr that another sender claims: nobody can point our answers at a third machine.
  return source;
}
