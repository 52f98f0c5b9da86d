/** A packet as lines of text: for golden captures, logs and people. */
import { ipv4Text } from '../kit/address.ts';
import { OPTIONS, type ValueKind } from './options.ts';
import { broadcasts, type DhcpOption, decodeOptions, messageType, type Packet, uint16s } from './packet.ts';

const FACTS = new Map<number, { name: string; kind: ValueKind }>(
  Object.entries(OPTIONS).map(([name, { code, kind }]) => [code, { name, kind }]),
);

/** One line a field that says something, then one line an option in wire order. */
export function reading(packet: Packet): string[] {
  const addresses = (['ciaddr', 'yiaddr', 'siaddr', 'giaddr'] as const).filter((name) => packet[name] !== '0.0.0.0');
  return [
    `${packet.op} ${messageType(packet) ?? 'BOOTP'} xid ${packet.xid.toString(16).padStart(8, '0')} secs ${packet.secs}${broadcasts(packet) ? ' broadcast' : ''}`,
    `chaddr ${hex(packet.chaddr)} htype ${packet.htype} hops ${packet.hops}`,
    ...addresses.map((name) => `${name} ${packet[name]}`),
    ...(packet.sname ? [`sname ${packet.sname}`] : []),
    ...(packet.file ? [`file ${packet.file}`] : []),
    ...packet.options.map((option) => `${option.code} ${FACTS.get(option.code)?.name ?? 'unnamed'} ${value(option)}`),
  ];
}

function value({ code, data }: DhcpOption): string {
  switch (FACTS.get(code)?.kind) {
    case 'address':
      return data.length > 0 && data.length % 4 === 0
        ? Array.from({ length: data.length / 4 }, (_, index) => ipv4Text(data, 4 * index)).join(' ')
        : hex(data);
    case 'text':
      return JSON.stringify(Buffer.from(data).toString('latin1'));
    case 'byte':
    case 'type':
    case 'uint16':
    case 'uint32':
      return data.length > 0 && data.length <= 4 ? String(Buffer.from(data).readUIntBE(0, data.length)) : hex(data);
    case 'types':
      return data.length > 0 && data.length % 2 === 0 ? uint16s(data).join(' ') : hex(data);
    case 'list':
      return data.join(' ');
    case 'options': {
      const inside = decodeOptions(data).map((each) => `${each.code}=${hex(each.data)}`);
      return inside.length > 0 ? inside.join(' ') : hex(data);
    }
    default:
      return hex(data);
  }
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
