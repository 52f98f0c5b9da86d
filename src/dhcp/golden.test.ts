/** Captures of real machines: QEMU's BIOS with iPXE's ROM, OVMF with its own PXE stack, OVMF with iPXE's driver; and our answers to them. */
import { describe, expect, test } from '@jest/globals';
import { aBoot } from '../../test/builders/farm.ts';
import { readGolden, readingOf } from '../../test/golden/golden.ts';
import { answerBytes, type Boot, bootOf, question } from './answer.ts';
import { MAX_PACKET_BYTES } from './limits.ts';
import { OPTIONS } from './options.ts';
import { decode, encode, option, type Packet } from './packet.ts';

const SELF = { address: '10.99.0.1', httpPort: 8069 };
const bootstrap = { farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] };
const CAPTURES = ['bios', 'uefi', 'uefi-ipxe'];

const read = (bytes: Uint8Array): Packet => {
  const decoded = decode(bytes);
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
};

describe.each(CAPTURES)('%s', (name) => {
  const packets = readGolden(name).filter(({ protocol }) => protocol === 'dhcp');

  test.each(packets.map((packet) => [packet.way, packet] as const))(
    '%s reads as written down',
    (_, { bytes, reading }) => {
      expect(readingOf('dhcp', bytes)).toEqual(reading);
    },
  );

  test('each comes back byte for byte, but for zeros at the end', () => {
    for (const { bytes } of packets) {
      const again = encode(read(bytes), MAX_PACKET_BYTES);
      const end = (data: Uint8Array): string =>
        Buffer.from(data)
          .toString('hex')
          .replace(/(00)+$/, '');
      expect(again.ok && end(again.value)).toBe(end(bytes));
    }
  });

  test('in a larger buffer they read the same, and cut anywhere they are packets or faults', () => {
    for (const { bytes } of packets) {
      const larger = Buffer.concat([Buffer.alloc(13, 0xa5), bytes, Buffer.alloc(7, 0x5a)]);
      expect(decode(larger.subarray(13, 13 + bytes.length))).toEqual(decode(bytes));
      for (let length = 0; length < bytes.length; length += 1)
        expect(typeof decode(bytes.subarray(0, length)).ok).toBe('boolean');
    }
  });
});

test.each<[string, Boot[]]>([
  [
    'bios',
    [
      { kind: 'file', file: 'undionly.kpxe' },
      { kind: 'script', url: 'http://10.99.0.1:8069/boot' },
    ],
  ],
  [
    'uefi',
    [
      { kind: 'file', file: 'snponly.efi' },
      { kind: 'script', url: 'http://10.99.0.1:8069/boot' },
    ],
  ],
  ['uefi-ipxe', [{ kind: 'script', url: 'http://10.99.0.1:8069/boot' }]],
])(
  '%s: the boot files in their order, and what was sent then; but since then with the client’s identifier',
  (name, boots) => {
    const packets = readGolden(name);
    const sent = packets.filter(({ way }) => way.startsWith(`${SELF.address}:67 `)).map(({ bytes }) => read(bytes));
    const given: Boot[] = [];
    for (const { bytes, way } of packets) {
      if (!way.startsWith('0.0.0.0:68 ')) continue;
      const request = read(bytes);
      if ('silence' in question(request, 'dhcp', SELF.address)) continue;
      const boot = bootOf(request, { kind: 'known' }, bootstrap, SELF);
      if (typeof boot === 'string') throw new Error(boot);
      const answer = answerBytes(request, boot, SELF);
      if (!answer.ok) throw new Error(answer.error.message);
      const { options, ...fields } = read(answer.value);
      expect(option(request, 'clientId')).toEqual(options.find(({ code }) => code === OPTIONS.clientId.code)?.data);
      expect(sent).toContainEqual({ ...fields, options: options.filter(({ code }) => code !== OPTIONS.clientId.code) });
      if (JSON.stringify(given.at(-1)) !== JSON.stringify(boot)) given.push(boot);
    }
    expect(given).toEqual(boots);
  },
);
