/**
 * A UDP socket as boot protocols need it, made by libc and given to node:dgram by its descriptor, for what Node cannot ask of one. Linux, IPv4.
 *
 * SO_BINDTODEVICE: a server on the host network of a node with two interfaces must hear broadcasts of its own only. Linux 5.7 lets every process do
 * this; before, CAP_NET_RAW.
 */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { closeSync } from 'node:fs';
import { ok, type Result } from '../kit/result.ts';
import { allowFragments } from './fragments.ts';
import {
  AF_INET,
  type Libc,
  libc,
  SO_BINDTODEVICE,
  SOCK_DGRAM_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  socketAddress,
} from './libc.ts';
import { type ListenFault, listenFault, listenUdp, type Place } from './listen.ts';

/** The address is never shared with another process. */
export async function openUdp(
  place: Place,
  options: Omit<SocketOptions, 'type'> = {},
): Promise<Result<Socket, ListenFault>> {
  const loaded = libc();
  if (!loaded.ok && place.device !== undefined)
    return { ok: false, error: await listenFault(place, loaded.error.message) };
  const opened = loaded.ok ? open(loaded.value, place) : ok(undefined);
  if (!opened.ok) return { ok: false, error: await listenFault(place, opened.error) };
  return listenUdp(createSocket({ ...options, type: 'udp4' }), place, opened.value);
}

/** A bound descriptor, or what the kernel says. */
function open(c: Libc, { address, port, device }: Place): Result<number, string> {
  const fd = c.socket(AF_INET, SOCK_DGRAM_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return { ok: false, error: c.error() };
  allowFragments(c, fd);
  const name = Buffer.from(`${device}\0`);
  const where = socketAddress(address, port);
  const tied = device === undefined || c.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) === 0;
  if (tied && c.bind(fd, where, where.length) === 0) return ok(fd);
  const error = c.error();
  closeSync(fd);
  return { ok: false, error };
}
