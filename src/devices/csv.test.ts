import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cpuMs } from '../../test/setup/time.ts';
import type { Device } from '../farm/model.ts';
import { formatDevices, parseDeviceFile } from './csv.ts';
import { type DeviceText, describeComplaint, parseDevice } from './input.ts';

const text = (more: Partial<DeviceText> = {}): DeviceText => ({
  name: 'pc0001',
  macs: ['52-54-00-00-00-01'],
  uuid: '',
  collection: 'room-101',
  class: '',
  enabled: '',
  properties: {},
  ...more,
});

describe('a device as it is typed', () => {
  test('is read into the farm model', () => {
    expect(parseDevice(text())).toEqual({
      name: 'pc0001',
      macs: ['52:54:00:00:00:01'],
      collection: 'room-101',
      enabled: true,
      properties: {},
    });
    expect(
      parseDevice(
        text({ uuid: '6D3C8A62-0000-4000-8000-000000000001', class: 'test', enabled: 'FALSE', properties: { a: 'b' } }),
      ),
    ).toMatchObject({
      uuid: '6d3c8a62-0000-4000-8000-000000000001',
      class: 'Test',
      enabled: false,
      properties: { a: 'b' },
    });
  });

  test.each([
    ['no DNS label', { name: 'PC 1' }, /column name, value "PC 1": a name is 1 to 63/],
    ['64 characters', { name: 'a'.repeat(64) }, /column name/],
    ['no MAC', { macs: [] }, /column mac, value "": a device needs a MAC/],
    [
      'a multicast MAC',
      { macs: ['01:00:5e:00:00:01'] },
      /column mac, value "01:00:5e:00:00:01": .*neither all zeros nor a multicast/,
    ],
    ['nine MACs', { macs: Array.from({ length: 9 }, (_, n) => `52:54:00:00:00:0${n}`) }, /at most 8 MACs, not 9/],
    ['one MAC twice', { macs: ['52:54:00:00:00:01', '525400000001'] }, /value "52:54:00:00:00:01": it is there twice/],
    ['a cut UUID', { uuid: '6d3c8a62' }, /column uuid, value "6d3c8a62"/],
    ['no collection', { collection: '' }, /column collection/],
    ['an unknown class', { class: 'Prod' }, /one of Maintenance, Test, Production/],
    ['enabled is yes', { enabled: 'yes' }, /column enabled, value "yes": enabled is true or false/],
    ['65 KiB of properties', { properties: { a: 'x'.repeat(66_000) } }, /at most 65536 bytes/],
    [
      'nine MACs and more',
      { macs: Array.from({ length: 2e6 }, (_, n) => `52:54:00:00:00:0${n % 8}`) },
      /at most 8 MACs, not 2000000/,
    ],
    ['a NUL in a property', { properties: { a: '\0' } }, /column property.a/],
    ['half a character', { properties: { a: 'x\ud800' } }, /column property.a, .*surrogate/],
    ['half a character in a name', { properties: { '\ud800': 'x' } }, /column property.*surrogate/],
    ['an empty property', { properties: { a: '' } }, /column property.a, value "": a property has a value/],
    ['spaces around a name', { properties: { ' a': 'x' } }, /column property. a, .*without spaces/],
  ])('%s is named', (_, more, reason) => {
    const complaints = parseDevice(text(more));
    expect('name' in complaints ? [] : complaints.map(describeComplaint)).toEqual([expect.stringMatching(reason)]);
  });
});

describe('a file of devices', () => {
  const file = (body: string) => {
    const parsed = parseDeviceFile(body);
    if (!parsed.ok) throw new Error(parsed.error.message);
    return parsed.value;
  };

  test('semicolons, as Excel writes them in half of Europe', () => {
    const { good, bad } = file('name;mac;collection\r\npc1;52:54:00:00:00:01;"room;101"\r\npc2;525400000002;a,b\r\n');
    expect(bad).toEqual([]);
    expect(good.map(({ device }) => device.collection)).toEqual(['room;101', 'a,b']);
  });

  test('columns in any order, quotes, several MACs, properties, CRLF, a byte order mark, empty lines', () => {
    const { good, bad } = file(
      '\uFEFFCollection,name,MAC,Property.Seat,enabled\r\nroom-101,pc1,52:54:00:00:00:01 52:54:00:00:00:02,"A ""1"", left\r\nside",\r\n\r\nroom-102,pc2,525400000003,,false',
    );
    expect(bad).toEqual([]);
    expect(good).toMatchObject([
      {
        line: 2,
        device: {
          name: 'pc1',
          macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
          properties: { Seat: 'A "1", left\r\nside' },
          enabled: true,
        },
      },
      { line: 5, device: { name: 'pc2', collection: 'room-102', properties: {}, enabled: false } },
    ]);
  });

  test('every bad line is named: number, column, value, reason', () => {
    const { good, bad } = file(
      'name,mac,collection\na,52:54:00:00:00:01,x\nb,zz,x\nc,52:54:00:00:00:01,x\na,52:54:00:00:00:04,x\nd,1\ne,52:54:00:00:00:05,',
    );
    expect(good.map(({ line }) => line)).toEqual([2]);
    expect(bad).toMatchObject([
      { line: 3, column: 'mac', value: 'zz' },
      { line: 4, column: 'mac', value: '52:54:00:00:00:01', reason: 'line 2 has it already' },
      { line: 5, column: 'name', value: 'a', reason: 'line 2 has it already' },
      { line: 6, reason: 'the line has 2 values for 3 columns' },
      { line: 7, column: 'collection', value: '' },
    ]);
  });

  test('a UUID is the same in its other byte order', () => {
    const { good, bad } = file(
      'name,mac,collection,uuid\na,52:54:00:00:00:01,x,6d3c8a62-0000-4000-8000-000000000001\nb,52:54:00:00:00:02,x,628A3C6D-0000-0040-8000-000000000001',
    );
    expect(good.map(({ line }) => line)).toEqual([2]);
    expect(bad).toMatchObject([
      { line: 3, column: 'uuid', value: '628a3c6d-0000-0040-8000-000000000001', reason: 'line 2 has it already' },
    ]);
  });

  test('a stray quote costs its own line', () => {
    const { good, bad } = file(
      'name,mac,collection\n"a,52:54:00:00:00:01,x\nb,52:54:00:00:00:02,x\nc,"52:54:00:00:00:03"y,x\nd,52:54:00:00:00:04,"x"',
    );
    expect(good.map(({ line }) => line)).toEqual([3, 5]);
    expect(bad).toMatchObject([
      { line: 2, column: 'name', value: '"a' },
      { line: 4, column: 'mac', value: '"52:54:00:00:00:03"y' },
    ]);
  });

  test.each([
    ['', /line 1 lacks name, mac, collection/],
    ['pc1,52:54:00:00:00:01,room', /lacks name, mac, collection/],
    [`${';'.repeat(2e6)},`, /lacks name, mac, collection/],
    ['name,mac,collection,color', /unknown column "color"/],
    ['name,mac,collection,mac', /names the column mac twice/],
    ['name,mac,collection,property.a,Property.a', /names the column property.a twice/],
  ])('a header %# is refused', (body, message) => {
    expect(parseDeviceFile(body)).toMatchObject({ ok: false, error: { code: 'BadHeader', message } });
  });

  const P = Array.from({ length: 100 }, (_, n) => `,property.p${n}`).join('');
  test.each<[string, string, RegExp]>([
    ['semicolons without end', ';'.repeat(2e6), /line 1 has more than 134 values/],
    ['columns without end', 'a,'.repeat(2e6), /line 1 has more than 134 values: a file has at most so many columns/],
    ['a line of cells without end', `name,mac,collection\na,b,c\n${'a,'.repeat(2e6)}`, /line 3 has more than 134/],
    ['lines without end', `name,mac,collection\n${'a\n'.repeat(2e6)}`, /more than 50000 lines: import it in parts/],
    [
      'values without end',
      `name,mac,collection${P}\n${`a,b,c${','.repeat(100)}\n`.repeat(20_000)}`,
      /more than 1500000 values/,
    ],
    ['empty lines without end', `name,mac,collection${'\n'.repeat(4e6)}`, /more than 50000 lines/],
  ])('%s are refused at once', async (_, body, message) => {
    const ms = await cpuMs(() =>
      expect(parseDeviceFile(body)).toMatchObject({ ok: false, error: { code: 'TooLarge', message } }),
    );
    expect(ms).toBeLessThan(5_000);
  });

  test('of very many complaints the first are named, and all lines are counted', () => {
    const { bad, badLines } = file(`name,mac,collection\n${'X,zz,\n'.repeat(40_000)}`);
    expect([bad.length, badLines]).toEqual([1_000, 40_000]);
  });

  test('a quote that nobody ends costs its line, however often, and however much is behind it', async () => {
    const ms = await cpuMs(() => {
      expect(file(`name,mac,collection\n${'"a,"b,""c\n'.repeat(40_000)}`).badLines).toBe(40_000);
      expect(file(`name,mac,collection\n"${'""'.repeat(2e6)}`).badLines).toBe(1);
    });
    expect(ms).toBeLessThan(5_000);
  });

  test('no text makes it throw or loop, and each line is counted once', () => {
    const piece = fc.constantFrom('"', '""', ',', '\n', '\r', '\r\n', 'a', '52:54:00:00:00:01', '\0', 'é');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const { good, bad } = file(`name,mac,collection\n${pieces.join('')}`);
        const last = pieces.join('').split('\n').length + 1;
        for (const { line } of [...good, ...bad]) expect(line >= 2 && line <= last).toBe(true);
      }),
      { seed: 5, numRuns: 1_000 },
    );
  });
});

describe('devices as a file', () => {
  const written = (devices: readonly Device[]): string => {
    const made = formatDevices(devices);
    if (!made.ok) throw new Error(made.error.message);
    return made.value;
  };
  const back = (devices: readonly Device[]) => {
    const parsed = parseDeviceFile(written(devices));
    if (!parsed.ok) throw new Error(parsed.error.message);
    return parsed.value;
  };

  test('has a column for each property of any of them', () => {
    const one: Device = {
      name: 'a',
      macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
      collection: 'c',
      enabled: true,
      properties: { seat: 'A,1' },
    };
    const two: Device = {
      ...one,
      name: 'b',
      macs: ['52:54:00:00:00:03'],
      class: 'Test',
      enabled: false,
      properties: {},
    };
    expect(written([one, two])).toBe(
      'name,mac,uuid,collection,class,enabled,property.seat\n' +
        'a,52:54:00:00:00:01 52:54:00:00:00:02,,c,,true,"A,1"\nb,52:54:00:00:00:03,,c,Test,false,\n',
    );
    expect(back([])).toEqual({ good: [], bad: [], badLines: 0 });
  });

  test('of more names than columns is refused, and of as many is taken back', () => {
    const some = (count: number) =>
      Array.from(
        { length: count },
        (_, n): Device => ({
          ...{ name: `pc${n}`, macs: [`52:54:00:00:00:${n.toString(16).padStart(2, '0')}`], collection: 'c' },
          ...{ enabled: true, properties: { [`p${n}`]: 'x' } },
        }),
      );
    expect(back(some(128)).good).toHaveLength(128);
    expect(formatDevices(some(129))).toMatchObject({
      error: { code: 'TooLarge', message: expect.stringMatching(/more than 128 different names .*such as p128/) },
    });
  });

  test('is read back as they are, whatever is in a property', () => {
    const value = fc.oneof(
      fc.string({ minLength: 1, unit: 'binary' }),
      fc.constantFrom(' a ', '"', '""', 'a\nb', 'a\r\nb', ',', '\uFEFF'),
    );
    const properties = fc.dictionary(
      fc
        .oneof(fc.string({ minLength: 1 }), fc.constantFrom('Seat', 'seat', 'a,b', 'a"b'))
        .map((key) => key.trim())
        .filter((key) => key !== ''),
      value.filter((text) => !text.includes('\0')),
      { maxKeys: 4 },
    );
    const devices = fc
      .array(fc.record({ properties, uuid: fc.uuid(), enabled: fc.boolean(), tested: fc.boolean() }), { maxLength: 5 })
      .map((rows) =>
        rows.map(
          ({ tested, uuid, ...row }, number): Device => ({
            ...row,
            ...(tested ? { class: 'Test', uuid } : {}),
            name: `pc${number}`,
            macs: [`52:54:00:00:00:0${number}`],
            collection: 'room-101',
          }),
        ),
      );
    fc.assert(
      fc.property(devices, (all) => {
        const { good, bad } = back(all);
        expect(bad).toEqual([]);
        expect(good.map(({ device }) => device)).toEqual(
          all.map((one) => ({ ...one, properties: { ...one.properties } })),
        );
      }),
      { seed: 16, numRuns: 500 },
    );
  });
});
