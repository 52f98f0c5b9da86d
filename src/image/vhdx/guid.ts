/** GUIDs as VHDX has them: the first three groups little-endian, the other two as they are written. Pure. */

export const NO_GUID = '00000000-0000-0000-0000-000000000000';

/** In lower case, without braces. */
export function guidAt(bytes: Buffer, at: number): string {
  const hex = (...order: readonly number[]): string =>
    order
      .map((index) =>
        bytes
          .readUInt8(at + index)
          .toString(16)
          .padStart(2, '0'),
      )
      .join('');
  return [hex(3, 2, 1, 0), hex(5, 4), hex(7, 6), hex(8, 9), hex(10, 11, 12, 13, 14, 15)].join('-');
}

export function guidBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  return Buffer.concat([
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8),
  ]);
}

/** As text has it: `{F88D4D92-…}`. Undefined: it is none. */
export function parseGuid(text: string): string | undefined {
  const guid = text
    .trim()
    .replace(/^\{|\}$/g, '')
    .toLowerCase();
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(guid) ? guid : undefined;
}
