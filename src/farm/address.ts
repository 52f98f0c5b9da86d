/** MACs and UUIDs as text, in the one form that is compared. */

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
