/**
 * A UDP socket on one interface. Node cannot tie a socket to an interface (SO_BINDTODEVICE), and a server on the host network of a node with two
 * must hear broadcasts of its own only; so the socket is made through koffi and given to node:dgram by its descriptor. Linux 5.7
 * lets every process do this; before, CAP_NET_RAW. IPv4; numbers are those of Linux on x86-64 and arm64.
 */
import { createSocket, type Socket } from 'node:dgram';
import koffi from 'koffi';
import { ipv4Bytes } from '../kit/address.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export type BindFault = Fault<'PortTaken' | 'BindFailed'>;

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;

interface C {
  socket(family: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, bytes: number): number;
  bind(fd: number, address: Uint8Array, bytes: number): number;
  close(fd: number): number;
}

let library: C | undefined;
function c(): C {
  if (library) return library;
  const libc = koffi.load('libc.so.6');
  library = {
    socket: libc.func('int socket(int, int, int)'),
    setsockopt: libc.func('int setsockopt(int, int, int, const void *, uint32_t)'),
    bind: libc.func('int bind(int, const void *, uint32_t)'),
    close: libc.func('int close(int)'),
  };
  return library;
}

/** Without `device`: an ordinary socket. The address is never shared with another process. */
export async function openSocket(
  address: string,
  port: number,
  device: string | undefined,
): Promise<Result<Socket, BindFault>> {
  const opened = device === undefined ? ok(undefined) : openOn(device, address, port);
  if (!opened.ok) return opened;
  const fd = opened.value;
  const socket = createSocket({ type: 'udp4' });
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(bindFault(address, port, device, error.code ?? error.message));
    });
    socket.bind(fd === undefined ? { address, port, exclusive: true } : { fd, exclusive: true }, () => {
      socket.removeAllListeners('error');
      socket.setBroadcast(true);
      resolve(ok(socket));
    });
  });
}

/** A bound descriptor. */
function openOn(device: string, address: string, port: number): Result<number, BindFault> {
  const { socket, setsockopt, bind, close } = c();
  const name = (errno: number): string =>
    Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
  const fd = socket(AF_INET, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  if (fd < 0) return bindFault(address, port, device, name(koffi.errno()));
  const where = Buffer.alloc(16);
  where.writeUInt8(AF_INET, 0);
  where.writeUInt16BE(port, 2);
  where.set(ipv4Bytes(address) ?? [], 4);
  const text = Buffer.from(`${device}\0`);
  const done =
    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, text, text.length) === 0 && bind(fd, where, where.length) === 0;
  if (done) return ok(fd);
  const code = name(koffi.errno());
  close(fd);
  return bindFault(address, port, device, code);
}

function bindFault(address: string, port: number, device: string | undefined, code: string): Result<never, BindFault> {
  const place = `UDP port ${port} of ${address}${device ? ` on ${device}` : ''}`;
  if (code === 'EADDRINUSE')
    return fail(
      'PortTaken',
      `${place} is taken by another process of this node: stop the other DHCP or PXE service (ss -ulpn 'sport = :${port}' names it), or set boot.proxyDHCP.enabled of the Farm to false; it is tried again by itself`,
    );
  const hint =
    code === 'EACCES' || code === 'EPERM'
      ? 'the server needs the capability NET_BIND_SERVICE'
      : code === 'EADDRNOTAVAIL' || code === 'ENODEV'
        ? 'this node has no such address or interface: see network of the StreamingServer'
        : 'see the error';
  return fail('BindFailed', `${place} cannot be bound: ${code}; ${hint}`);
}
