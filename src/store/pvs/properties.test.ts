import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeProperties, emptyProperties, encodeProperties, PROPERTIES_BYTES, WRITE_CACHES } from './properties.ts';

/** Places after the declaration of the structure, counted by hand. */
function aFile(): Buffer {
  const file = Buffer.alloc(PROPERTIES_BYTES, 0xa5);
  file.fill(0, 278, 360);
  file.write('Gold', 278, 'utf16le');
  file.fill(0, 376, 380);
  file.writeUInt32LE(9, 256);
  file.writeUInt32LE(4_096, 260);
  file.writeBigInt64LE(83_886_080n, 24);
  file.writeUInt8(2, 477);
  file.fill(0, 516, 516 + 800);
  file.write('Windows 11, rooms 101 to 112', 516, 'utf16le');
  file.fill(0, 512 + 1_602, 512 + 1_602 + 256);
  file.write('Hyper-V', 512 + 1_602, 'utf16le');
  return file;
}

test('fields are read at their places', () => {
  expect(PROPERTIES_BYTES).toBe(528_896);
  expect(decodeProperties(aFile())).toMatchObject({
    value: {
      ...{ diskClass: 'Gold', writeCacheMib: 4_096, totalSectors: 83_886_080n, licenseMode: 2 },
      ...{ writeCacheType: WRITE_CACHES.indexOf('ClientRamWithOverflow'), hardwareTarget: 'Hyper-V' },
      description: 'Windows 11, rooms 101 to 112',
    },
  });
});

test('what is read is written as it was, byte by byte, also what no field is known of', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(PROPERTIES_BYTES - 1), fc.nat(255)), { maxLength: 200 }), (sets) => {
      const file = aFile();
      for (const [at, byte] of sets) if (at < 376 || at >= 380) file[at] = byte;
      const read = decodeProperties(file);
      if (!read.ok) throw new Error(read.error.message);
      const written = encodeProperties(read.value);
      expect(written.ok && written.value.equals(file)).toBe(true);
    }),
    { seed: 14, numRuns: 100 },
  );
});

test('a changed field is changed alone', () => {
  const read = decodeProperties(aFile());
  if (!read.ok) throw new Error(read.error.message);
  const written = encodeProperties({ ...read.value, diskClass: 'Öd', writeCacheMib: 1 });
  if (!written.ok) throw new Error(written.error.message);
  const wanted = Buffer.from(read.value.bytes);
  wanted.fill(0, 278, 360);
  wanted.write('Öd', 278, 'utf16le');
  wanted.writeUInt32LE(1, 260);
  expect(written.value.equals(wanted)).toBe(true);
});

test('properties that are made anew read back', () => {
  const made = { ...emptyProperties(), author: 'ops', propertiesUpdateTime: -1n, activeYear: 2_026 };
  const file = encodeProperties(made);
  expect(file.ok && decodeProperties(file.value)).toMatchObject({
    value: { author: 'ops', propertiesUpdateTime: -1n, activeYear: 2_026 },
  });
});

test.each([
  { what: 'a class that is too long', change: { diskClass: 'x'.repeat(41) }, says: /no room for diskClass "x+"/ },
  { what: 'a text with a zero', change: { author: 'a\0b' }, says: /author/ },
  { what: 'a number that is too large', change: { licenseMode: 256 }, says: /licenseMode "256"/ },
  { what: 'a number below zero', change: { build: -1 }, says: /build "-1"/ },
  { what: 'a part of a number', change: { build: 0.5 }, says: /build/ },
  { what: 'a time beyond 64 bits', change: { propertiesUpdateTime: 2n ** 63n }, says: /propertiesUpdateTime/ },
])('$what is not written', ({ change, says }) => {
  expect(encodeProperties({ ...emptyProperties(), ...change })).toEqual({
    ok: false,
    error: { code: 'PropertiesInvalid', message: expect.stringMatching(says) },
  });
});

test.each([
  { what: 'an empty file', bytes: Buffer.alloc(0), code: 'PropertiesCut' },
  { what: 'XML', bytes: Buffer.from('<properties/>'), code: 'PropertiesCut' },
  { what: 'a cut file', bytes: aFile().subarray(1), code: 'PropertiesCut' },
  { what: 'a longer one', bytes: Buffer.concat([aFile(), Buffer.alloc(1)]), code: 'PropertiesTooLong' },
  { what: 'more names than there is room for', bytes: Buffer.alloc(PROPERTIES_BYTES, 0xff), code: 'PropertiesInvalid' },
])('$what is a fault', ({ bytes, code }) => {
  expect(decodeProperties(bytes)).toMatchObject({ ok: false, error: { code } });
});
