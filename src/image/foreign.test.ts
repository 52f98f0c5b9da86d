import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { asOneFile, FOREIGN_HEAD_BYTES, foreignFormat, judgeInfo, judgeMeasure } from './foreign.ts';

const head = (write: (bytes: Buffer) => void): Buffer => {
  const bytes = Buffer.alloc(FOREIGN_HEAD_BYTES);
  write(bytes);
  return bytes;
};
const qcow = (version: number, write: (bytes: Buffer) => void = () => undefined) =>
  head((bytes) => {
    bytes.write('QFI\xfb', 'latin1');
    bytes.writeUInt32BE(version, 4);
    write(bytes);
  });
const vdi = (allocated: number) =>
  head((bytes) => {
    bytes.writeUInt32LE(0xbeda107f, 64);
    for (const [at, value] of [
      [344, 1_024],
      [376, 1_024],
      [388, allocated],
    ] as const)
      bytes.writeUInt32LE(value, at);
  });
const vmdk = (capacity: bigint, descriptor = 1n) =>
  head((bytes) => {
    bytes.write('KDMV');
    bytes.writeUInt32LE(1, 4);
    bytes.writeBigUInt64LE(capacity, 12);
    bytes.writeBigUInt64LE(descriptor, 28);
  });

test.each([
  ['qcow2 of version 2', qcow(2), 'qcow2'],
  ['qcow2 of version 3', qcow(3), 'qcow2'],
  ['what version 2 has behind its header', qcow(2, (bytes) => bytes.fill(0xff, 72)), 'qcow2'],
  ['another version', qcow(4), 'a qcow image of version 4'],
  ['a backing file', qcow(3, (bytes) => bytes.writeBigUInt64BE(104n, 8)), 'a qcow2 image with a backing file'],
  ['data elsewhere', qcow(3, (bytes) => bytes.writeBigUInt64BE(4n, 72)), 'a qcow2 image with its data in another file'],
  ['one that is encrypted', qcow(2, (bytes) => bytes.writeUInt32BE(2, 32)), 'is an encrypted qcow2 image: make a copy'],
  ['VMDK', vmdk(1n), 'vmdk'],
  ['VMDK whose extents lie elsewhere', vmdk(0n), 'a VMDK whose data lies in other files'],
  ['a part of a VMDK', vmdk(1n, 0n), 'a part of a VMDK, which another file describes: make one'],
  ['VDI', vdi(3), 'vdi'],
  ['VDI that was cut', vdi(4), '/x has 4096 bytes, and its data ends at 5120: it was cut'],
  [
    'a text that names extents',
    head((bytes) => bytes.write('# Disk DescriptorFile')),
    'holds the description of a VMDK image, and its name is that of no image: bring the files that it names, too',
  ],
  ['a packed one', head((bytes) => bytes.set(gzipSync('disk'))), 'holds data compressed by gzip'],
  ['a disk', head((bytes) => bytes.write('\x55\xaa', 510, 'latin1')), 'holds a disk as it is'],
  ['a file that is short', Buffer.from('QFI\xfb', 'latin1'), 'is no qcow2, VMDK or VDI image'],
])('%s', (_, bytes, is) => {
  const format = foreignFormat('/x', bytes, 4_096);
  expect(format.ok ? format.value : format.error.message).toContain(is);
});

test('no header throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void foreignFormat('/x', Buffer.from(bytes), 4_096)),
    {
      seed: 7,
    },
  );
});

test('a difference and what is encrypted are refused', () => {
  const vmdkOf = (cid: number) =>
    JSON.stringify({ 'virtual-size': 512, 'format-specific': { data: { 'parent-cid': cid } } });
  expect(judgeInfo('/x', vmdkOf(0xffffffff))).toEqual({ ok: true, value: 512 });
  expect(judgeInfo('/x', vmdkOf(1))).toMatchObject({ error: { message: expect.stringContaining('a difference of') } });
  expect(judgeInfo('/x', '{"virtual-size":512,"encrypted":true}')).toMatchObject({ error: { code: 'NotSupported' } });
});

test.each([
  { what: 'nothing of 40 GiB', required: 6_815_744, whole: 42_956_488_704, size: 40 * 2 ** 30, data: 0 },
  { what: 'all of 3 MiB', required: 3_473_408, whole: 3_473_408, size: 3 << 20, data: 3 << 20 },
  { what: 'a cluster, of which the disk has a part', required: 65_536, whole: 65_536, size: 512, data: 512 },
])('$what is data', ({ required, whole, size, data }) => {
  expect(judgeMeasure(JSON.stringify({ required, 'fully-allocated': whole }), size)).toBe(data);
});

test('a path is a path, whatever is in it', () => {
  expect(JSON.parse(asOneFile('/a "b",backing=/etc', 'qcow2').slice(5))).toEqual({
    ...{ driver: 'qcow2', file: { driver: 'file', filename: '/a "b",backing=/etc' }, backing: null },
  });
});
