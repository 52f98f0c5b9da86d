/** Cookies: what proves that a sender gets what is sent to its address. A MAC over address and time; the server stores nothing. */
import { timingSafeEqual } from 'node:crypto';
import { addressBytes } from '../kit/address.ts';
import { COOKIE_SLOT_SECONDS } from './limits.ts';
import type { Sip } from './siphash.ts';

/** Where a packet came from: address as text, and port. */
export interface Peer {
  readonly host: string;
  readonly port: number;
}

const slotOf = (nowMs: number): number => Math.floor(nowMs / 1000 / COOKIE_SLOT_SECONDS) % 0x1_0000_0000;

/** 20 bytes: slot 4 │ SipHash-128 over family, address (16, IPv4 in the first four), port and slot. */
export function makeCookie(sip: Sip, key: Uint8Array, { host, port }: Peer, nowMs: number): Buffer {
  return cookieOf(sip, key, { host, port }, slotOf(nowMs));
}

/** Made for this address in this slot or the one before? */
export function checkCookie(sip: Sip, key: Uint8Array, peer: Peer, cookie: Uint8Array, nowMs: number): boolean {
  const bytes = Buffer.from(cookie.buffer, cookie.byteOffset, cookie.byteLength);
  const slot = bytes.readUInt32BE(0);
  const age = slotOf(nowMs) - slot;
  return (age === 0 || age === 1) && timingSafeEqual(bytes, cookieOf(sip, key, peer, slot));
}

function cookieOf(sip: Sip, key: Uint8Array, { host, port }: Peer, slot: number): Buffer {
  const address = addressBytes(host);
  if (!address) throw new Error(`cookie: ${host} is no IP address`);
  const text = Buffer.alloc(23);
  text[0] = address.length === 4 ? 4 : 6;
  text.set(address, 1);
  text.writeUInt16BE(port, 17);
  text.writeUInt32BE(slot, 19);
  const cookie = Buffer.alloc(20);
  cookie.writeUInt32BE(slot, 0);
  cookie.set(sip(key, text), 4);
  return cookie;
}
