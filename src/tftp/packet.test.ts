import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { netascii } from './netascii.ts';
import { decode, encode, OPCODES, type Packet, reading } from './packet.ts';

const raw = (opcode: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(0, opcode), Buffer.from(text, 'latin1')]);

describe('tftp packets that are refused', () => {
  test.each([
    ['three bytes', Buffer.of(0, 1, 0), 'TooShort'],
    ['opcode 0', raw(0, 'xx'), 'UnknownOpcode'],
    ['opcode 7', raw(7, 'xx'), 'UnknownOpcode'],
    ['a request whose last string has no end', raw(1, 'a\0octet'), 'NotTerminated'],
    ['no name', raw(1, '\0octet\0'), 'EmptyName'],
    ['no mode', raw(1, 'abc\0'), 'BadMode'],
    ['mode mail', raw(1, 'a\0mail\0'), 'BadMode'],
    ['an option without a value', raw(1, 'a\0octet\0blksize\0'), 'OptionCut'],
    ['an option twice, in other letters', raw(1, 'a\0octet\0blksize\x008\0BLKSIZE\x009\0'), 'OptionTwice'],
    ['a request of 513 bytes', raw(1, `${'a'.repeat(504)}\0octet\0`), 'TooLong'],
    ['an OACK whose last string has no end', raw(6, 'tsize\x001'), 'NotTerminated'],
  ])('%s', (_, bytes, code) => {
    expect(decode(bytes)).toMatchObject({ ok: false, error: { code } });
  });
});

test('names and modes are read whatever their letters; values are left as they are', () => {
  expect(decode(raw(1, 'Undionly.KPXE\0OcTeT\0BlkSize\x001432\0tsize\x000\0'))).toEqual({
    ok: true,
    value: {
      type: 'RRQ',
      name: 'Undionly.KPXE',
      mode: 'octet',
      options: [
        ['blksize', '1432'],
        ['tsize', '0'],
      ],
    },
  });
});

test('an ERROR whose text has no end is read to the end', () => {
  expect(decode(Buffer.concat([Buffer.of(0, 5, 0, 8), Buffer.from('aborted')]))).toEqual({
    ok: true,
    value: { type: 'ERROR', code: 8, message: 'aborted' },
  });
});

const text = fc.string({ minLength: 1, maxLength: 20 });
const options = fc.uniqueArray(
  fc.tuple(
    text.map((name) => name.toLowerCase()),
    text,
  ),
  { selector: ([name]) => name, maxLength: 5 },
);
const packets: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({
    type: fc.constantFrom('RRQ' as const, 'WRQ' as const),
    name: text,
    mode: fc.constantFrom('octet' as const, 'netascii' as const),
    options,
  }),
  fc.record({ type: fc.constant('DATA' as const), block: fc.nat(65_535), data: fc.uint8Array({ maxLength: 1_468 }) }),
  fc.record({ type: fc.constant('ACK' as const), block: fc.nat(65_535) }),
  fc.record({ type: fc.constant('ERROR' as const), code: fc.nat(65_535), message: fc.string({ maxLength: 60 }) }),
  fc.record({ type: fc.constant('OACK' as const), options: options.filter((list) => list.length > 0) }),
);

test('every packet comes back from its bytes', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const bytes = encode(packet);
      expect(bytes.readUInt16BE(0)).toBe(OPCODES[packet.type]);
      expect(decode(bytes)).toEqual({ ok: true, value: packet });
      expect(reading(packet)).toContain(packet.type);
    }),
    { seed: 20_261_123, numRuns: 500 },
  );
});

test('netascii ends lines with CR LF and marks a CR of the text', () => {
  expect(Buffer.from(netascii(Buffer.from('a\nb\rc\r\n'))).toString('latin1')).toBe('a\r\nb\r\0c\r\0\r\n');
});
