/** Attacks by single UDP packets, which need no answer: rubbish, loops, floods of TFTP and DHCP. */
import { randomBytes, randomInt } from 'node:crypto';
import { OPTIONS } from '../../src/dhcp/options.ts';
import { encode as encodeDhcp } from '../../src/dhcp/packet.ts';
import { encode as encodeTftp } from '../../src/tftp/packet.ts';
import { aRequest } from '../builders/pxe.ts';
import { SAMPLES } from '../contract/udp-edges.ts';
import { anyPort, EPHEMERAL, type Field, LINE_RATE, macBytes, pick, randomMac } from './field.ts';

const UDP_PORTS = ['stream', 'control', 'dhcp', 'pxe', 'tftp'] as const;
const MAX_PAYLOAD = 1_400;

const udpPort = (field: Field, number: number): number => field.options.ports[pick(UDP_PORTS, number)];

/** Random bytes, and what the protocols say with a byte changed, at each port of both servers. */
export async function rubbish(field: Field): Promise<void> {
  const { address } = field.options;
  const noise = randomBytes(1 << 20);
  await field.pace(LINE_RATE, () => {
    const at = randomInt(noise.length - MAX_PAYLOAD);
    const bytes =
      field.sent % 2
        ? noise.subarray(at, at + randomInt(MAX_PAYLOAD))
        : oneChanged(pick(SAMPLES, randomInt(SAMPLES.length)).bytes);
    field.raw({ address, port: anyPort() }, { address: field.server(), port: udpPort(field, randomInt(5)) }, bytes);
  });
}

function oneChanged(known: Uint8Array): Uint8Array {
  const bytes = Buffer.from(known);
  const at = randomInt(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << randomInt(8));
  return bytes;
}

/** All that the protocols say, from where an answer would go round and round: the other server's ports, broadcast, nobody's port. */
export async function loops(field: Field): Promise<void> {
  const { servers } = field.options;
  const [error, ack] = [
    encodeTftp({ type: 'ERROR', code: 5, message: 'unknown transfer' }),
    encodeTftp({ type: 'ACK', block: 1 }),
  ];
  await field.pace(8_000, () => {
    const number = field.sent;
    const to = field.server(number);
    const port = udpPort(field, number >> 1);
    const other = pick(servers, number + 1);
    const { bytes } = pick(SAMPLES, number >> 2);
    const ephemeral = (): number => randomInt(EPHEMERAL.first, EPHEMERAL.beyond);
    switch (number % 8) {
      case 0:
      case 1:
        return field.raw({ address: other, port: 0 }, { address: to, port }, bytes);
      case 2:
        return field.raw({ address: '255.255.255.255', port }, { address: to, port }, bytes);
      case 3:
        return field.raw({ address: '10.77.0.255', port }, { address: to, port }, bytes);
      case 4:
        return field.raw({ address: to, port }, { address: to, port }, bytes);
      case 5:
        return field.raw(
          { address: other, port: ephemeral() },
          { address: to, port: ephemeral() },
          number % 16 > 7 ? error : ack,
        );
      default:
        return field.raw({ address: other, port: udpPort(field, randomInt(5)) }, { address: to, port }, bytes);
    }
  });
}

/** Transfers that nobody takes, from own addresses and from made-up ones of the network; errors at the ports of transfers. */
export async function tftp(field: Field): Promise<void> {
  const options = [
    ['tsize', '0'],
    ['blksize', '1468'],
    ['windowsize', '16'],
  ] as const;
  const rrq = encodeTftp({ type: 'RRQ', name: 'undionly.kpxe', mode: 'octet', options });
  const error = encodeTftp({ type: 'ERROR', code: 0, message: 'seen' });
  await field.pace(5_000, () => {
    const address = field.sent % 4 ? field.source() : `10.77.0.${randomInt(20, 250)}`;
    if (field.sent % 3)
      return field.raw({ address, port: anyPort() }, { address: field.server(), port: field.options.ports.tftp }, rrq);
    const port = randomInt(EPHEMERAL.first, EPHEMERAL.beyond);
    return field.raw({ address, port: anyPort() }, { address: field.server(), port }, error);
  });
}

/** DISCOVERs and REQUESTs of made-up machines, of one that the farm knows, and of relays that are not there. */
export async function dhcp(field: Field): Promise<void> {
  const { mac } = field;
  const { ports } = field.options;
  await field.pace(4_000, () => {
    const number = field.sent;
    const listener = number % 2 ? 'dhcp' : 'pxe';
    const chaddr = macBytes(number % 3 ? randomMac() : mac);
    const giaddr = number % 5 ? '0.0.0.0' : `10.77.${randomInt(256)}.${randomInt(1, 255)}`;
    const more = [{ code: OPTIONS.clientUuid.code, data: Buffer.concat([Buffer.of(0), randomBytes(16)]) }];
    const asked = aRequest(
      { type: listener === 'pxe' ? 'REQUEST' : 'DISCOVER', more },
      { chaddr, giaddr, xid: randomInt(2 ** 32) },
    );
    const bytes = encodeDhcp(asked, 1_472);
    if (!bytes.ok) throw new Error(bytes.error.message);
    field.raw(
      { address: field.source(number), port: number % 7 ? 68 : 67 },
      { address: field.server(), port: ports[listener] },
      bytes.value,
    );
  });
}
