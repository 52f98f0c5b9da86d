/**
 * IP_MTU_DISCOVER: Linux forbids fragments (the DF bit) and takes smaller MTUs from ICMP, which many networks drop; a packet that is too large for a
 * way then is gone for good, and with TCP the download stands still. Without the bit a router takes it apart. Linux, IPv4.
 */
import type { Server } from 'node:net';
import { IP_MTU_DISCOVER, IPPROTO_IP, type Libc, libc, PMTUDISC_DONT } from './libc.ts';
import { descriptorOf } from './listen.ts';

/** Every kernel has it; without, the socket serves all the same. */
export function allowFragments(c: Libc, fd: number): void {
  const never = Buffer.alloc(4);
  never.writeInt32LE(PMTUDISC_DONT);
  c.setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, never, never.length);
}

/** Of a server that listens: its connections inherit it. */
export function allowFragmentsOf(server: Server): void {
  const loaded = libc();
  const fd = descriptorOf(server);
  if (loaded.ok && fd !== undefined) allowFragments(loaded.value, fd);
}
