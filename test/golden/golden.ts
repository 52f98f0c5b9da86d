/**
 * Golden captures: text files of datagrams, each with where it went, its bytes and its reading. `node test/golden/golden.ts FILE.pcap` prints one
 * from a capture: DHCP and the talk around a file by TFTP, without the file. Check the reading against another decoder before committing it.
 */
import { readFileSync } from 'node:fs';
import * as dhcp from '../../src/dhcp/packet.ts';
import { reading as dhcpReading } from '../../src/dhcp/reading.ts';
import * as tftp from '../../src/tftp/packet.ts';

export interface Golden {
  readonly protocol: 'dhcp' | 'tftp';
  /** `from -> to`, each `address:port`. */
  readonly way: string;
  readonly bytes: Buffer;
  readonly reading: readonly string[];
}

export const readingOf = (protocol: Golden['protocol'], bytes: Uint8Array): readonly string[] => {
  const decoded = protocol === 'dhcp' ? dhcp.decode(bytes) : tftp.decode(bytes);
  if (!decoded.ok) return [`${decoded.error.code}: ${decoded.error.message}`];
  return 'type' in decoded.value ? [tftp.reading(decoded.value)] : dhcpReading(decoded.value);
};

/** `name` without its ending: `bios`. */
export function readGolden(name: string): Golden[] {
  const text = readFileSync(new URL(`${name}.golden`, import.meta.url), 'utf8');
  return text
    .split(/^== /m)
    .slice(1)
    .map((block) => {
      const [head = '', hex = '', ...reading] = block.trimEnd().split('\n');
      const [protocol, ...way] = head.split(' ');
      return {
        protocol: protocol === 'dhcp' ? 'dhcp' : 'tftp',
        way: way.join(' '),
        // Runs of zeros are written as <count>: the fixed fields of DHCP are mostly zeros.
        bytes: Buffer.from(
          hex.replaceAll(/<(\d+)>/g, (_, count) => '00'.repeat(Number(count))),
          'hex',
        ),
        reading: reading.map((line) => line.trim()),
      };
    });
}

const printed = ({ protocol, way, bytes, reading }: Golden): string =>
  [
    `== ${protocol} ${way}`,
    (bytes.toString('hex').match(/../g) ?? [])
      .join(' ')
      .replaceAll(/(?:00 ?){8,}/g, (run) => `<${run.match(/00/g)?.length}> `)
      .replaceAll(' ', ''),
    ...reading.map((line) => `   ${line}`),
  ].join('\n');

/** UDP of IPv4 over Ethernet II, of a pcap file in this machine's byte order. */
function* datagrams(pcap: Buffer): Generator<{ from: string; to: string; ports: [number, number]; bytes: Buffer }> {
  let at = 24;
  while (at + 16 <= pcap.length) {
    const length = pcap.readUInt32LE(at + 8);
    const frame = pcap.subarray(at + 16, at + 16 + length);
    at += 16 + length;
    if (frame.readUInt16BE(12) !== 0x0800 || frame.readUInt8(23) !== 17) continue;
    const ip = frame.subarray(14);
    const udp = ip.subarray((ip.readUInt8(0) & 15) * 4);
    const address = (offset: number): string => [...ip.subarray(offset, offset + 4)].join('.');
    const ports: [number, number] = [udp.readUInt16BE(0), udp.readUInt16BE(2)];
    const bytes = udp.subarray(8, udp.readUInt16BE(4));
    yield { from: `${address(12)}:${ports[0]}`, to: `${address(16)}:${ports[1]}`, ports, bytes };
  }
}

function fromCapture(file: string): Golden[] {
  const kept: Golden[] = [];
  const transfers = new Set<string>();
  for (const { from, to, ports, bytes } of datagrams(readFileSync(file))) {
    const isDhcp = ports.some((port) => [67, 68, 4011].includes(port));
    if (ports[1] === 69) transfers.add(from);
    const isTftp = transfers.has(from) || transfers.has(to);
    if (!isDhcp && !isTftp) continue;
    const protocol = isDhcp ? 'dhcp' : 'tftp';
    const reading = readingOf(protocol, bytes);
    // Of the file itself: the first and the last blocks' acknowledgements say enough.
    const data = /^(?:DATA|ACK) (\d+)/.exec(reading[0] ?? '');
    if (data && (reading[0]?.startsWith('DATA') || Number(data[1]) > 1)) continue;
    const packet = { protocol, way: `${from} -> ${to}`, bytes, reading } as const;
    if (!kept.some((each) => each.bytes.equals(bytes) && each.way === packet.way)) kept.push(packet);
  }
  return kept;
}

if (process.argv[1] === import.meta.filename) {
  for (const packet of fromCapture(process.argv[2] ?? 'capture.pcap')) console.log(printed(packet));
}
