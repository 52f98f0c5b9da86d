import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aRequest } from '../../test/builders/pxe.ts';
import { MAX_PACKET_BYTES, MIN_PACKET_BYTES } from './limits.ts';
import {
  architectures,
  decode,
  encode,
  inner,
  mac,
  messageType,
  option,
  type Packet,
  userClass,
  uuid,
} from './packet.ts';
import { reading } from './reading.ts';

const wire = (packet: Packet): Buffer => {
  const encoded = encode(packet, 65_535);
  if (!encoded.ok) throw new Error(encoded.error.message);
  return Buffer.from(encoded.value);
};
const read = (bytes: Uint8Array): Packet => {
  const decoded = decode(bytes);
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
};
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const withOptions = (...options: Packet['options'][number][]): Packet => aRequest({}, { options });

describe('dhcp packets that are refused', () => {
  const good = wire(aRequest());
  const changed = (offset: number, value: number): Buffer => Buffer.from(good).fill(value, offset, offset + 1);
  test.each([
    ['cut before the options', good.subarray(0, 239), 'TooShort'],
    ['neither request nor reply', changed(0, 3), 'BadOp'],
    ['a hardware address longer than its field', changed(2, 17), 'BadHardwareLength'],
    ['without the magic cookie', changed(236, 0), 'NoCookie'],
  ])('%s', (_, bytes, code) => {
    expect(decode(bytes)).toMatchObject({ ok: false, error: { code } });
  });

  test.each([
    ['a boot file of 129 bytes', { file: 'x'.repeat(129) }, 'NameTooLong'],
    ['an address that is none', { siaddr: '1.2.3' }, 'BadAddress'],
    ['17 bytes of hardware address', { chaddr: new Uint8Array(17) }, 'BadHardwareLength'],
    ['more than the receiver takes', { options: [{ code: 43, data: new Uint8Array(1_500) }] }, 'TooLong'],
  ])('not encoded: %s', (_, fields, code) => {
    expect(encode(aRequest({}, fields), MAX_PACKET_BYTES)).toMatchObject({ ok: false, error: { code } });
  });
});

describe('options', () => {
  test('a relay’s giaddr, hops and option 82 survive', () => {
    const relayed = aRequest(
      { more: [{ code: 82, data: Uint8Array.of(1, 2, 0xab, 0xcd) }] },
      { giaddr: '10.1.2.3', hops: 2 },
    );
    expect(read(wire(relayed))).toEqual(relayed);
  });

  test('over 255 bytes go in parts and come back as one (RFC 3396)', () => {
    const data = Uint8Array.from({ length: 600 }, (_, index) => index & 255);
    const bytes = wire(withOptions({ code: 43, data }, { code: 60, data: bytesOf('x') }));
    expect([bytes[240], bytes[241], bytes[497], bytes[498], bytes[754], bytes[755]]).toEqual([
      43, 255, 43, 255, 43, 90,
    ]);
    expect(read(bytes).options).toEqual([
      { code: 43, data },
      { code: 60, data: bytesOf('x') },
    ]);
  });

  test.each([
    ['file', 1, [108], ['6162', '']],
    ['sname', 2, [44], ['6162', '']],
    ['both: file first', 3, [108, 44], ['6162', '6162']],
  ])('are read in an overloaded %s', (_, overload, offsets, values) => {
    const bytes = wire(withOptions({ code: 52, data: Uint8Array.of(overload) }));
    for (const offset of offsets) bytes.set([60, 2, 0x61, 0x62, 255], offset);
    const packet = read(bytes);
    expect(Buffer.from(option(packet, 'vendorClass') ?? []).toString('hex')).toBe(values.join(''));
    expect(packet.options.some(({ code }) => code === 52)).toBe(false);
    if (overload === 3) expect([packet.file, packet.sname]).toEqual(['', '']);
    expect(read(wire(packet))).toEqual(packet);
  });

  test.each([
    ['longer than what is left', [60, 200, 0x78]],
    ['without a length', [60]],
  ])('what is before an option %s is good', (_, cut) => {
    const tail = Buffer.from([53, 1, 1, 93, 2, 0, 7, ...cut]);
    const bytes = Buffer.concat([wire(withOptions()).subarray(0, 240), tail]);
    expect(read(bytes).options.map(({ code }) => code)).toEqual([53, 93]);
    const overloaded = wire(withOptions({ code: 52, data: Uint8Array.of(1) }));
    overloaded.fill(0, 108, 236).set(tail.subarray(0, 7), 108);
    overloaded.set([60, 200], 234);
    expect(read(overloaded).options.map(({ code }) => code)).toEqual([53, 93]);
  });

  test.each<[string, number, number[][], number[]]>([
    [
      'an address twice: the first',
      54,
      [
        [10, 0, 0, 11],
        [10, 0, 0, 11],
      ],
      [10, 0, 0, 11],
    ],
    ['a type twice: the first', 53, [[1], [3]], [1]],
    [
      'a size twice',
      57,
      [
        [5, 192],
        [2, 64],
      ],
      [5, 192],
    ],
    ['a UUID twice', 97, [Array(17).fill(3), Array(17).fill(4)], Array(17).fill(3)],
    ['a UUID in two parts', 97, [Array(10).fill(3), Array(7).fill(3)], Array(17).fill(3)],
    [
      'a list in two parts',
      55,
      [
        [1, 3],
        [66, 67],
      ],
      [1, 3, 66, 67],
    ],
    [
      'types in two parts',
      93,
      [
        [0, 6],
        [0, 7],
      ],
      [0, 6, 0, 7],
    ],
    ['text in two parts', 60, [[0x50, 0x58], [0x45]], [0x50, 0x58, 0x45]],
  ])('%s', (_, code, parts, expected) => {
    const packet = withOptions(...parts.map((data) => ({ code, data: Uint8Array.from(data) })));
    expect(read(wire(packet)).options).toEqual([{ code, data: Uint8Array.from(expected) }]);
  });

  test.each([
    ['plain text, as iPXE sends it', 'iPXE', 'iPXE'],
    ['length-prefixed classes, RFC 3004', '\x04iPXE\x03abc', 'iPXE'],
    ['a length that does not fit is text', '\x08abc', '\x08abc'],
    ['zeros at the end', 'iPXE\0', 'iPXE'],
    ['nothing', '', undefined],
  ])('user class: %s', (_, text, expected) => {
    expect(userClass(withOptions({ code: 77, data: bytesOf(text) }))).toBe(expected);
  });

  test('options within an option', () => {
    const packet = withOptions({ code: 175, data: Uint8Array.of(33, 1, 1, 19, 1, 7) });
    expect(inner(packet, 'ipxe', 19)).toEqual(Uint8Array.of(7));
    expect(inner(packet, 'ipxe', 20)).toBeUndefined();
    expect(inner(withOptions({ code: 175, data: Uint8Array.of(33, 9) }), 'ipxe', 33)).toBeUndefined();
  });
});

describe('who asks', () => {
  const uuidBytes = (hex: string): Packet => withOptions({ code: 97, data: Uint8Array.from(Buffer.from(hex, 'hex')) });
  test.each([
    [
      'as SMBIOS stores it, first fields little-endian',
      '001c5b4a0e7d2f5e4f9a0b6c1d2e3f4051',
      '0e4a5b1c-2f7d-4f5e-9a0b-6c1d2e3f4051',
    ],
    ['all zeros', '00'.repeat(17), undefined],
    ['all ones', `00${'ff'.repeat(16)}`, undefined],
    ['of another type', `01${'12'.repeat(16)}`, undefined],
    ['too short', '0012', undefined],
  ])('UUID %s', (_, hex, expected) => {
    expect(uuid(uuidBytes(hex))).toBe(expected);
  });

  test.each([
    ['Ethernet', {}, '52:54:00:00:00:01'],
    ['a multicast address', { chaddr: Uint8Array.of(1, 2, 3, 4, 5, 6) }, undefined],
    ['zeros', { chaddr: new Uint8Array(6) }, undefined],
    ['InfiniBand', { htype: 32 }, undefined],
    ['too short', { chaddr: Uint8Array.of(2, 2) }, undefined],
  ])('MAC: %s', (_, fields, expected) => {
    expect(mac(aRequest({}, fields))).toBe(expected);
  });

  test('type and architecture; absent and misshapen ones are undefined', () => {
    expect([messageType(aRequest()), architectures(aRequest({ architecture: 7 }))]).toEqual(['DISCOVER', [7]]);
    expect(architectures(withOptions({ code: 93, data: Uint8Array.of(0, 6, 0, 7, 9) }))).toEqual([6, 7]);
    const odd = withOptions({ code: 53, data: Uint8Array.of(1, 2) }, { code: 93, data: Uint8Array.of(7) });
    expect([messageType(odd), architectures(odd)]).toEqual([undefined, []]);
    expect([messageType(withOptions()), architectures(withOptions())]).toEqual([undefined, []]);
  });
});

test('BOOTP’s 300 bytes are always filled', () => {
  expect(wire(withOptions()).length).toBe(MIN_PACKET_BYTES);
});

const packets: fc.Arbitrary<Packet> = fc.record({
  op: fc.constantFrom('request' as const, 'reply' as const),
  htype: fc.nat(255),
  hops: fc.nat(255),
  xid: fc.nat(0xffff_ffff),
  secs: fc.nat(0xffff),
  flags: fc.nat(0xffff),
  ciaddr: fc.ipV4(),
  yiaddr: fc.ipV4(),
  siaddr: fc.ipV4(),
  giaddr: fc.ipV4(),
  chaddr: fc.uint8Array({ maxLength: 16 }),
  sname: fc.string({ maxLength: 63 }),
  file: fc.string({ maxLength: 127 }),
  options: fc.uniqueArray(
    fc.record({
      code: fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52),
      data: fc.uint8Array({ maxLength: 600 }),
    }),
    { selector: ({ code }) => code, maxLength: 12 },
  ),
});

test('every packet comes back from its bytes', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      expect(read(wire(packet))).toEqual(packet);
      expect(reading(packet).length).toBeGreaterThan(1);
    }),
    { seed: 20_261_123, numRuns: 500 },
  );
});
