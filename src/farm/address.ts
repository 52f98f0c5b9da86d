/** IP addresses and MACs as text: parse once, compare as bytes. */
import { isIPv4, isIPv6 } from 'node:net';

/** 4 or 16 bytes; undefined when the text is no address. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text)) return undefined;
  const [head = '', tail] = text.split('%')[0]?.split('::') ?? [];
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  return Uint8Array.from([...left, ...new Array<number>(16 - left.length - right.length).fill(0), ...right]);
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

/** Are both in one network of `prefixLength` bits? Addresses of different families never are. */
export function sameSubnet(a: string, b: string, prefixLength: number): boolean {
  const left = addressBytes(a);
  const right = addressBytes(b);
  if (!left || !right || left.length !== right.length) return false;
  return left.every((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefixLength - index * 8));
    const mask = (0xff00 >> bits) & 0xff;
    return (byte & mask) === ((right[index] ?? 0) & mask);
  });
}

const MAC = /^[0-9a-f]{2}([:-]?)[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i;

/** `AA-BB-…`, `aabb…` and `aa:bb:…` give `aa:bb:cc:dd:ee:ff`; undefined when it is no unicast 48-bit MAC. */
export function parseMac(text: string): string | undefined {
  if (!MAC.test(text)) return undefined;
  const digits = text.toLowerCase().replaceAll(/[:-]/g, '');
  const multicast = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;
  return multicast || /^0+$/.test(digits) ? undefined : (digits.match(/../g) ?? []).join(':');
}

/** What boards say that were never given a UUID of their own. */
const PLACEHOLDERS = ['03000200-0400-0500-0006-000700080009'];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** In lower case; undefined when it is none, or one that many machines have: by that one would boot as another. */
export function parseUuid(text: string): string | undefined {
  const uuid = text.toLowerCase();
  return !UUID.test(uuid) || /^[0-]+$/.test(uuid) || /^[f-]+$/.test(uuid) || PLACEHOLDERS.includes(uuid)
    ? undefined
    : uuid;
}
