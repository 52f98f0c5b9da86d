/** MACs and UUIDs as text, in the one form that is compared. */

const MAC = /^[0-9a-f]{2}([:-]?)[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i;

/** `AA-BB-…`, `aabb…` and `aa:bb:…` give `aa:bb:cc:dd:ee:ff`; undefined when it is no unicast 48-bit MAC. */
export function parseMac(text: string): string | undefined {
  if (!MAC.test(text)) return undefined;
  const digits = text.toLowerCase().replaceAll(/[:-]/g, '');
  const multicast = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;
  return multicast || /^0+$/.test(digits) ? undefined : (digits.match(/../g) ?? []).join(':');
}

/** What boards say that were never given a UUID of their own: whole series have it. */
const PLACEHOLDERS = [
  '00010203-0405-0607-0809-0a0b0c0d0e0f',
  '00112233-4455-6677-8899-aabbccddeeff',
  '03000200-0400-0500-0006-000700080009',
  '03d40274-0435-05dc-8506-010700080009',
  '11111111-2222-3333-4444-555555555555',
  '12345678-1234-5678-90ab-cddeefaabbcc',
  '4c4c4544-0000-2010-8020-80c04f202020', // Dell, without a service tag
  'deadbeef-dead-beef-dead-beefdeadbeef',
];
/** The same with the other byte order of its first three fields, which SMBIOS had before 2.6 (DSP0134 7.2.1), and firmware sends either. */
export const otherOrder = (uuid: string): string =>
  uuid.replace(/^(..)(..)(..)(..)-(..)(..)-(..)(..)/, '$4$3$2$1-$6$5-$8$7');

const SHARED: ReadonlySet<string> = new Set(PLACEHOLDERS.flatMap((uuid) => [uuid, otherOrder(uuid)]));
/** With fewer it is a pattern: zeros, ones, `fefe…`, `0a0a…`. Hand-made ones of virtual machines have more. */
const DISTINCT_BYTES = 3;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** In lower case, as text alone: `parseUuid` says whether it names a machine. */
export const isUuid = (text: string): boolean => UUID.test(text);

/** In lower case; undefined when it is none, or one that many machines have: by that one would boot as another. */
export function parseUuid(text: string): string | undefined {
  const uuid = text.toLowerCase();
  if (!isUuid(uuid)) return undefined;
  const bytes = uuid.replaceAll('-', '').match(/../g) ?? [];
  if (new Set(bytes).size < DISTINCT_BYTES) return undefined;
  return SHARED.has(uuid) ? undefined : uuid;
}
