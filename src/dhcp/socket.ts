/**
 * A UDP socket on one interface. Node cannot tie a socket to an interface (SO_BINDTODEVICE), and a server on the host network of a node with two
 * must hear broadcasts of its own only; so the socket is made by libc and given to node:dgram by its descriptor. Linux 5.7
 * lets every process do this; before, CAP_NET_RAW. IPv4.
 */
import { createSocket, type Socket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { ok, type Result } from '../kit/result.ts';
import {
  AF_INET,
  libc,
  SO_BINDTODEVICE,
  SOCK_DGRAM_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  socketAddress,
} from '../net/libc.ts';
import { type ListenFault, listenFault, listenUdp, type Place } from '../net/listen.ts';

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

/** A bound descriptor, or what the kernel says. */
function openOn(device: string, address: string, port: number): Result<number, string> {
  const loaded = libc();
  if (!loaded.ok) return { ok: false, error: loaded.error.message };
  const c = loaded.value;
  const fd = c.socket(AF_INET, SOCK_DGRAM_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return { ok: false, error: c.error() };
  const name = Buffer.from(`${device}\0`);
  const where = socketAddress(address, port);
  const tied = c.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) === 0;
  if (tied && c.bind(fd, where, where.length) === 0) return ok(fd);
  const error = c.error();
  closeSync(fd);
  return { ok: false, error };
}
