/**
 * A UDP socket on one interface. Node cannot tie a socket to an interface (SO_BINDTODEVICE), and a server on the host network of a node with two
 * must hear broadcasts of its own only; so the socket is made through koffi and given to node:dgram by its descriptor. Linux 5.7
 * lets every process do this; before, CAP_NET_RAW. IPv4; numbers are those of Linux on x86-64 and arm64.
 */
import { createSocket, type Socket } from 'node:dgram';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { ipv4Bytes } from '../kit/address.ts';
import { ok, type Result } from '../kit/result.ts';
import { type ListenFault, listenFault, listenUdp, type Place } from '../net/listen.ts';

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
): Promise<Result<Socket, ListenFault>> {
  const place: Place = {
    ...{ protocol: 'UDP', address, port, device },
    instead: 'set boot.proxyDHCP.enabled of the Farm to false',
  };
  const opened = device === undefined ? ok(undefined) : openOn(device, address, port);
  if (!opened.ok) return { ok: false, error: await listenFault(place, opened.error) };
  const bound = await listenUdp(createSocket({ type: 'udp4' }), place, opened.value);
  if (bound.ok) bound.value.setBroadcast(true);
  return bound;
}

/** A bound descriptor, or the name of the error. */
function openOn(device: string, address: string, port: number): Result<number, string> {
  const { socket, setsockopt, bind, close } = c();
  const failed = (): Result<never, string> => ({ ok: false, error: getSystemErrorName(-koffi.errno()) });
  const fd = socket(AF_INET, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  if (fd < 0) return failed();
  const where = Buffer.alloc(16);
  where.writeUInt8(AF_INET, 0);
  where.writeUInt16BE(port, 2);
  where.set(ipv4Bytes(address) ?? [], 4);
  const text = Buffer.from(`${device}\0`);
  const done =
    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, text, text.length) === 0 && bind(fd, where, where.length) === 0;
  if (done) return ok(fd);
  const fault = failed();
  close(fd);
  return fault;
}
