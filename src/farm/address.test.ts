import { describe, expect, test } from '@jest/globals';
import { parseMac, parseUuid } from './address.ts';

test.each([
  ['52:54:00:AA:bb:01', '52:54:00:aa:bb:01'],
  ['52-54-00-aa-bb-01', '52:54:00:aa:bb:01'],
  ['525400aabb01', '52:54:00:aa:bb:01'],
  ['52:54-00:aa:bb:01', undefined],
  ['01:00:5e:00:00:01', undefined],
  ['00:00:00:00:00:00', undefined],
  ['52:54:00:aa:bb', undefined],
  ['20:b8:ce:f6:03:00:31:33:3e', undefined],
  ['', undefined],
])('MAC %p is %p', (text, mac) => {
  expect(parseMac(text)).toBe(mac);
});

describe('a UUID', () => {
  test.each([
    '6D3C8A62-1b5f-4d0c-9c3e-0123456789ab',
    '4c4c4544-0051-3410-8051-b5c04f375931', // Dell, by its service tag
    '6D3C8A62-0000-4000-8000-000000000001', // of a virtual machine, by hand
    '564d5a1e-7f0c-2b9a-d1e4-3c8f60b7a295', // VMware
  ])('of one machine is it: %s', (text) => {
    expect(parseUuid(text)).toBe(text.toLowerCase());
  });

  test.each([
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    'FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE',
    '11111111-2222-3333-4444-555555555555',
    'deadbeef-dead-beef-dead-beefdeadbeef',
    '03000200-0400-0500-0006-000700080009',
    '00020003-0004-0005-0006-000700080009', // the same in the other byte order
    '03d40274-0435-05dc-8506-010700080009',
    '7402d403-3504-dc05-8506-010700080009',
    '4c4c4544-0000-2010-8020-80c04f202020',
    '44454c4c-0000-1020-8020-80c04f202020',
    '12345678-1234-5678-90ab-cddeefaabbcc',
    '78563412-3412-7856-90ab-cddeefaabbcc',
    '00010203-0405-0607-0809-0a0b0c0d0e0f',
    '03020100-0504-0706-0809-0a0b0c0d0e0f',
    '00112233-4455-6677-8899-aabbccddeeff',
    '33221100-5544-7766-8899-aabbccddeeff',
    '',
    '6d3c8a62-1b5f-4d0c-9c3e-0123456789a',
    '6d3c8a621b5f4d0c9c3e0123456789ab',
    '6d3c8a6200004000800000000000001',
  ])('that many have, or that is none, names nobody: %p', (text) => {
    expect(parseUuid(text)).toBeUndefined();
  });
});
