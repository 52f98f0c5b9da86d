import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatDate, parseDate } from './dates.ts';
import { ACCESSES, decodeManifest, encodeManifest, type PvsManifest, type PvsVersion, TYPES } from './manifest.ts';

/** A vDisk with an update that waits for its time, in all shapes that its values have. */
const EXPORTED = `\ufeff<?xml version="1.0" encoding="utf-8"?>
<versionManifest>
  <startingVersion>0</startingVersion>
  <version>
    <versionNumber>1</versionNumber>
    <description>Office &amp; &lt;fonts&gt;</description>
    <type>1</type>
    <access>7</access>
    <createDate>2020-02-11 10:41:07.137</createDate>
    <scheduledDate>2020-03-01 02:00:00</scheduledDate>
    <deleteWhenFree>0</deleteWhenFree>
    <diskFileName>lab.1.avhdx</diskFileName>
    <size>104857600</size>
    <lastWriteTime>2020-02-11T11:02:33</lastWriteTime>
    <somethingNew><of>another release</of></somethingNew>
  </version>
  <version>
    <versionNumber>0</versionNumber>
    <description />
    <type>0</type>
    <access>0</access>
    <createDate></createDate>
    <scheduledDate></scheduledDate>
    <deleteWhenFree>True</deleteWhenFree>
    <diskFileName>lab.vhdx</diskFileName>
    <size></size>
    <lastWriteTime></lastWriteTime>
  </version>
</versionManifest>`;
const READ: PvsManifest = {
  startingVersion: 0,
  versions: [
    {
      ...{ number: 1, description: 'Office & <fonts>', type: 'Manual', access: 'Test', deleteWhenFree: false },
      createdAt: Date.UTC(2020, 1, 11, 10, 41, 7, 137),
      scheduledAt: Date.UTC(2020, 2, 1, 2),
      ...{ diskFileName: 'lab.1.avhdx', sizeBytes: 104_857_600, writtenAt: Date.UTC(2020, 1, 11, 11, 2, 33) },
    },
    {
      ...{ number: 0, description: '', type: 'Base', access: 'Production', deleteWhenFree: true },
      diskFileName: 'lab.vhdx',
    },
  ],
};

test('a manifest is read, in UTF-8 and in UTF-16', () => {
  expect(decodeManifest(Buffer.from(EXPORTED))).toEqual({ ok: true, value: READ });
  const wide = Buffer.from(EXPORTED.replace('utf-8', 'utf-16'), 'utf16le');
  for (const bytes of [wide, wide.subarray(2), Buffer.from(wide).swap16(), Buffer.from(wide).swap16().subarray(2)])
    expect(decodeManifest(bytes)).toEqual({ ok: true, value: READ });
  // A string of .NET, written as UTF-8.
  expect(decodeManifest(Buffer.from(EXPORTED.replace('utf-8', 'utf-16').slice(1)))).toEqual({ ok: true, value: READ });
});

test('one of another encoding is read as it says, and what is none is refused', () => {
  const latin = Buffer.from(EXPORTED.slice(1).replace('Office', 'B\u00fcro').replace('utf-8', 'ISO-8859-1'), 'latin1');
  expect(decodeManifest(latin)).toMatchObject({ value: { versions: [{ description: 'B\u00fcro & <fonts>' }, {}] } });
  for (const encoding of ['utf-8', 'klingon']) {
    const bytes = Buffer.from(latin.toString('latin1').replace('ISO-8859-1', encoding), 'latin1');
    const message = `it cannot be read as ${encoding}: save it as UTF-8`;
    expect(decodeManifest(bytes)).toEqual({ ok: false, error: { code: 'NotXml', message } });
  }
});

const whole = fc.maxSafeNat().map((number) => number % 10 ** 15);
const milliseconds = fc.integer({ min: 0, max: Date.UTC(9_999, 11, 31) });
const words = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'grapheme', maxLength })
    .map((each) => each.slice(0, maxLength).toWellFormed().trim())
    .filter((each) => !/[\ufffe\uffff]/.test(each));
const version = fc.record(
  {
    number: whole,
    description: words(60),
    type: fc.constantFrom(...TYPES),
    access: fc.constantFrom(...ACCESSES),
    createdAt: milliseconds,
    scheduledAt: milliseconds,
    deleteWhenFree: fc.boolean(),
    diskFileName: words(60).filter((name) => name !== '' && !/^\.\.?$|[/\\:]/.test(name)),
    sizeBytes: whole,
    writtenAt: milliseconds,
  },
  { requiredKeys: ['number', 'description', 'type', 'access', 'deleteWhenFree', 'diskFileName'] },
) as fc.Arbitrary<PvsVersion>;

test('what is written reads back', () => {
  const versions = fc.uniqueArray(version, { selector: ({ number }) => number, minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(whole, versions, (startingVersion, each) => {
      const manifest = { startingVersion, versions: each };
      expect(decodeManifest(encodeManifest(manifest))).toEqual({ ok: true, value: manifest });
    }),
    { seed: 14, numRuns: 300 },
  );
});

test('what XML cannot hold is left out, and the rest is written', () => {
  const [first] = READ.versions as [PvsVersion];
  const bytes = encodeManifest({ ...READ, versions: [{ ...first, description: 'a\0b\u000bc\ud800d\uffffe' }] });
  expect(decodeManifest(bytes)).toMatchObject({ value: { versions: [{ description: 'abc\ufffdde' }] } });
});

const element = (name: string, text: string): string =>
  EXPORTED.replace(new RegExp(`<${name}>[^<]*</${name}>`), `<${name}>${text}</${name}>`);
const BOMB = `<!DOCTYPE v [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>`;
test.each([
  { what: 'nothing', text: '', code: 'NotXml', says: /no XML/ },
  { what: 'an open element', text: '<versionManifest>', code: 'NotXml', says: /no XML/ },
  { what: 'a bomb of entities', text: BOMB + element('description', '&b;'), code: 'NotXml', says: /document type/ },
  { what: 'an entity that there is none of', text: element('description', '&b;'), code: 'NotXml', says: /no XML/ },
  { what: 'what is nested for ever', text: '<a>'.repeat(300_000), code: 'NotXml', says: /no XML/ },
  { what: 'another document', text: '<vdisk/>', code: 'NotManifest', says: /<vdisk>.*<versionManifest>/ },
  { what: 'no version', text: '<versionManifest/>', code: 'ElementInvalid', says: /no version/ },
  { what: 'a megabyte', text: element('description', 'x'.repeat(1 << 20)), code: 'TooLarge', says: /1048576 at most/ },
  {
    what: 'more versions than there can be',
    text: `<versionManifest>${'<version/>'.repeat(1_001)}</versionManifest>`,
    ...{ code: 'TooLarge', says: /1001 versions.* 1000/ },
  },
  { what: 'no number', text: element('versionNumber', 'one'), code: 'ElementInvalid', says: /place 1 .*"one"/ },
  { what: 'no start', text: element('startingVersion', '-1'), code: 'ElementInvalid', says: /the manifest .*"-1"/ },
  { what: 'a version twice', text: element('versionNumber', '0'), code: 'ElementInvalid', says: /version 0 is there/ },
  {
    what: 'an element twice',
    text: EXPORTED.replace('<type>1', '<type>1</type><type>1'),
    ...{ code: 'ElementInvalid', says: /<type> twice/ },
  },
  { what: 'an unknown type', text: element('type', '5'), code: 'ElementInvalid', says: /version 1 .*"5".*4 MergeBase/ },
  { what: 'an unknown access', text: element('access', '8'), code: 'ElementInvalid', says: /"8".*7 Test/ },
  {
    what: 'a flag that is none',
    text: element('deleteWhenFree', 'yes'),
    code: 'ElementInvalid',
    says: /"yes".*0 or 1/,
  },
  {
    what: 'a date of a country',
    text: element('scheduledDate', '3/1/2020 2:00:00 AM'),
    ...{ code: 'ElementInvalid', says: /version 1 has <scheduledDate> "3\/1\/2020 2:00:00 AM".*correct it/ },
  },
  {
    what: 'a day that is none',
    text: element('createDate', '2020-02-31 00:00:00'),
    code: 'ElementInvalid',
    says: /02-31/,
  },
  { what: 'a size that is none', text: element('size', '1e9'), code: 'ElementInvalid', says: /<size> "1e9"/ },
  ...['..', '', '../lab.vhd', 'C:\\lab.vhd', 'a/b', '/etc/shadow', 'a&#10;error: b', `${'x'.repeat(256)}.vhd`].map(
    (name) => ({
      what: `the name ${name.slice(0, 20)}`,
      text: element('diskFileName', name),
      ...{ code: 'ElementInvalid', says: /diskFileName/ },
    }),
  ),
])('$what is a fault that says it', ({ text, code, says }) => {
  expect(decodeManifest(Buffer.from(text))).toEqual({
    ok: false,
    error: { code, message: expect.stringMatching(says) },
  });
});

test('any cut of a manifest, and any bytes, are a manifest or a fault', () => {
  const bytes = Buffer.from(EXPORTED);
  for (let end = 0; end < bytes.length; end += 7)
    expect(decodeManifest(bytes.subarray(0, end))).toMatchObject({ error: { code: 'NotXml' } });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      expect(decodeManifest(noise).ok).toBe(false);
    }),
    { seed: 14, numRuns: 300 },
  );
});

test('dates are as they were, to the millisecond', () => {
  fc.assert(
    fc.property(milliseconds, (ms) => {
      expect(parseDate(formatDate(ms))).toBe(ms);
    }),
    { seed: 14 },
  );
  expect(formatDate(Date.UTC(2020, 1, 11, 10, 41, 7))).toBe('2020-02-11 10:41:07');
});
