/** UDP packets from any address and port, through a raw socket (CAP_NET_RAW): what somebody on the network can send. IPv4, Linux. */
import koffi from 'koffi';

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_RAW = 255;
const IPPROTO_UDP = 17;

export interface RawUdp {
  /** `from.address` may be anything but 0.0.0.0, for which the kernel puts an address of its own. */
  send(from: Endpoint, to: Endpoint, bytes: Uint8Array): void;
  close(): void;
}

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export function openRawUdp(): RawUdp {
  const libc = koffi.load('libc.so.6');
  const socket = libc.func('int socket(int, int, int)');
  const sendto = libc.func('long sendto(int, const void *, size_t, int, const void *, uint32_t)');
  const close = libc.func('int close(int)');
  const fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) throw new Error(`no raw socket: errno ${koffi.errno()}`);
  return {
    send(from, to, bytes) {
      const packet = datagram(from, to, bytes);
      const where = Buffer.alloc(16);
      where.writeUInt8(AF_INET, 0);
      where.set(octets(to.address), 4);
      if (sendto(fd, packet, packet.length, 0, where, where.length) !== packet.length)
        throw new Error(`raw packet from ${from.address} not sent: errno ${koffi.errno()}`);
    },
    close: () => void close(fd),
  };
}

const octets = (address: string): number[] => address.split('.').map(Number);

/** The kernel writes the length and the checksum of the IP header; a UDP checksum of 0 is none. */
function datagram(from: Endpoint, to: Endpoint, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(28);
  head[0] = 0x45;
  head[8] = 64;
  head[9] = IPPROTO_UDP;
  head.set(octets(from.address), 12);
  head.set(octets(to.address), 16);
  head.writeUInt16BE(from.port, 20);
  head.writeUInt16BE(to.port, 22);
  head.writeUInt16BE(8 + bytes.length, 24);
  return Buffer.concat([head, bytes]);
}
