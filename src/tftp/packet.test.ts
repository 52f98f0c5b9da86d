import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { netascii } from './netascii.ts';
import { decode, encode, isRequest, OPCODES, type Packet, reading, type TftpOption } from './packet.ts';

const raw = (opcode: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(0, opcode), Buffer.from(text, 'latin1')]);

describe('tftp packets that are refused', () => {
  test.each([
    ['three bytes', Buffer.of(0, 1, 0), 'TooShort'],
    ['opcode 0', raw(0, 'xx'), 'UnknownOpcode'],
    ['opcode 7', raw(7, 'xx'), 'UnknownOpcode'],
    ['no name', raw(1, '\0octet\0'), 'EmptyName'],
    ['no mode', raw(1, 'abc\0'), 'BadMode'],
    ['mode mail', raw(1, 'a\0mail\0'), 'BadMode'],
    ['a mode without a name', raw(2, '\0\0'), 'EmptyName'],
    ['an OACK of padding', raw(6, '\0\0'), 'NoOption'],
    ['a request of 513 bytes', raw(1, `${'a'.repeat(504)}\0octet\0`), 'TooLong'],
  ])('%s', (_, bytes, code) => {
    expect(decode(bytes)).toMatchObject({ ok: false, error: { code } });
  });
});

describe('requests that are not as the RFCs have them, and are served', () => {
  test.each<[string, string, readonly TftpOption[]]>([
    ['a zero byte more', 'a\0octet\0\0', []],
    ['padded to 512 bytes', 'a\0octet\0blksize\x008\0'.padEnd(510, '\0'), [['blksize', '8']]],
    ['what is behind the padding', 'a\0octet\0\0\0tsize\x000\0', []],
    [
      'an option twice, in other letters: the first counts',
      'a\0octet\0blksize\x008\0BLKSIZE\x009\0',
      [['blksize', '8']],
    ],
    ['an option without a value', 'a\0octet\0tsize\x000\0blksize\0', [['tsize', '0']]],
    ['a mode without an end', 'a\0octet', []],
    ['a value without an end', 'a\0octet\0tsize\x000', [['tsize', '0']]],
    ['an option with an empty value', 'a\0octet\0tsize\0\0', [['tsize', '']]],
  ])('%s', (_, text, options) => {
    expect(decode(raw(1, text))).toEqual({ ok: true, value: { type: 'RRQ', name: 'a', mode: 'octet', options } });
  });
});

test('a request is one by its opcode, and nothing else is', () => {
  const requests = [raw(1, ''), raw(2, 'x'), raw(1, 'x'.repeat(600))];
  const others = [Buffer.of(), Buffer.of(0), Buffer.of(1, 1), raw(0, 'xx'), raw(5, 'xx')];
  expect([...requests, ...others].map(isRequest)).toEqual([...requests.map(() => true), ...others.map(() => false)]);
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
