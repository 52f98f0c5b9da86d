/** Builders of what PXE machines send. */
import { MESSAGE_TYPES, OPTIONS } from '../../src/dhcp/options.ts';
import type { DhcpOption, Packet } from '../../src/dhcp/packet.ts';

interface Asker {
  readonly type?: keyof typeof MESSAGE_TYPES;
  readonly architecture?: number;
  readonly userClass?: string;
  readonly vendorClass?: string;
  readonly serverId?: readonly number[];
  /** iPXE's option 175: with HTTP unless said otherwise. */
  readonly ipxe?: 'http' | 'plain';
  readonly more?: readonly DhcpOption[];
}

export const PC_MAC = '52:54:00:00:00:01';

/** A BIOS machine's DISCOVER. */
export function aRequest(asker: Asker = {}, fields: Partial<Packet> = {}): Packet {
  const {
    type = 'DISCOVER',
    architecture = 0,
    userClass,
    vendorClass = 'PXEClient:Arch:00000:UNDI:002001',
    serverId,
    ipxe,
  } = asker;
  return {
    op: 'request',
    htype: 1,
    hops: 0,
    xid: 0x01020304,
    secs: 4,
    flags: 0,
    ciaddr: '0.0.0.0',
    yiaddr: '0.0.0.0',
    siaddr: '0.0.0.0',
    giaddr: '0.0.0.0',
    chaddr: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1),
    sname: '',
    file: '',
    options: [
      { code: OPTIONS.messageType.code, data: Uint8Array.of(MESSAGE_TYPES[type]) },
      { code: OPTIONS.vendorClass.code, data: Uint8Array.from(Buffer.from(vendorClass)) },
      { code: OPTIONS.architecture.code, data: Uint8Array.of(architecture >> 8, architecture & 255) },
      ...(userClass === undefined
        ? []
        : [
            { code: OPTIONS.userClass.code, data: Uint8Array.from(Buffer.from(userClass)) },
            {
              code: OPTIONS.ipxe.code,
              data: ipxe === 'plain' ? Uint8Array.of(33, 1, 1) : Uint8Array.of(33, 1, 1, 19, 1, 1),
            },
          ]),
      ...(serverId ? [{ code: OPTIONS.serverId.code, data: Uint8Array.from(serverId) }] : []),
      ...(asker.more ?? []),
    ],
    ...fields,
  };
}

export const BROADCAST_FLAG = 0x8000;
