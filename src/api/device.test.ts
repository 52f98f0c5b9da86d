import { expect, test } from '@jest/globals';
import { aDevice } from '../../test/builders/farm.ts';
import type { Device } from '../farm/model.ts';
import { isMatch, patched, tagOf, withNic } from './device.ts';

const device = aDevice({
  macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
  class: 'Test',
  properties: { seat: 'A', old: 'x' },
});

test.each<[string, object, Partial<Device> | RegExp]>([
  ['nothing', {}, {}],
  [
    'null takes away',
    { class: null, properties: { old: null, seat: 'B' } },
    { class: undefined as never, properties: { seat: 'B' } },
  ],
  ['a list is whole', { macs: ['52-54-00-00-00-09'] }, { macs: ['52:54:00:00:00:09'] }],
  ['a wrong value is named', { class: 'Gold' }, /class "Gold": a class is one of/],
  ['no MAC', { macs: [] }, /macs "": a device needs a MAC/],
])('a patch: %s', (_, patch, becomes) => {
  const after = patched(device, patch);
  if (becomes instanceof RegExp) expect(after.ok ? '' : after.error.message).toMatch(becomes);
  else expect(after.ok && after.value).toEqual({ ...device, ...becomes });
});

test.each<[object, readonly string[] | RegExp]>([
  [{ mac: '52:54:00:00:00:09' }, ['52:54:00:00:00:09', '52:54:00:00:00:02']],
  [{ mac: '52:54:00:00:00:09', old: '525400000002' }, ['52:54:00:00:00:01', '52:54:00:00:00:09']],
  [{ mac: '52:54:00:00:00:02' }, /is there twice/],
  [{ mac: '52:54:00:00:00:09', old: '52:54:00:00:00:77' }, /no such MAC; it has 52:54:00:00:00:01, 52:54:00:00:00:02/],
])('a new card: %j', (replacement, becomes) => {
  const after = withNic(device, replacement as Parameters<typeof withNic>[1]);
  if (becomes instanceof RegExp) expect(after.ok ? '' : after.error.message).toMatch(becomes);
  else expect(after.ok && after.value.macs).toEqual(becomes);
});

test('a tag is of all that can be edited, and of nothing else', () => {
  const tag = tagOf(device);
  expect(tagOf({ ...device, uuidSharedWith: '52:54:00:00:00:03' })).toBe(tag);
  for (const change of [
    { enabled: false },
    { collection: 'x' },
    { macs: ['52:54:00:00:00:01'] },
    { uuid: 'u' },
    { properties: {} },
  ])
    expect(tagOf({ ...device, ...change })).not.toBe(tag);
  expect(['*', tag, `"x", ${tag}`, undefined].map((header) => isMatch(header, device))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(['"x"', 'x', ''].map((header) => isMatch(header, device))).toEqual([false, false, false]);
});
