import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodePing, encodePing, heard, isAlive, type PeerPing } from './peer.ts';

const key = new Uint8Array(32).fill(1);
const ping: PeerPing = {
  name: 'node-b',
  draining: false,
  loadPercent: 12,
  prefixLength: 24,
  devices: 3,
  booting: 1,
  powerRating: 2.5,
  maxDevices: 4_000,
  maxBooting: 500,
  manifests: ['0123456789abcdef', 'ffffffffffffffff'],
  instance: 7n,
  token: 100n,
  echo: 0n,
};

test('a ping comes back as it was', () => {
  expect(decodePing(encodePing(ping, key), key)).toEqual({ ok: true, value: ping });
});

test('another key, any flipped bit, any cut: dropped, never thrown', () => {
  const bytes = encodePing(ping, key);
  expect(decodePing(bytes, new Uint8Array(32))).toMatchObject({ ok: false, error: { code: 'PingForged' } });
  for (let length = 0; length < bytes.length; length++)
    expect(decodePing(bytes.subarray(0, length), key).ok).toBe(false);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = Buffer.from(bytes);
      bad[at] = (bad[at] ?? 0) ^ flip;
      return !decodePing(bad, key).ok;
    }),
    { seed: 4 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (random) => !decodePing(Buffer.from(random), key).ok),
    { seed: 5 },
  );
});

test('a peer lives once it echoes our token, and a recorded ping proves nothing', () => {
  const first = heard(undefined, ping, [500n], 0);
  expect(isAlive(first, 0)).toBe(false);
  const second = heard(first, { ...ping, echo: 500n, devices: 9 }, [501n, 500n], 250);
  expect(isAlive(second, 250)).toBe(true);
  expect(second.load.devices).toBe(9);
  const replayed = heard(second, { ...ping, echo: 500n, devices: 0 }, [510n, 511n], 3_000);
  expect(isAlive(replayed, 3_000)).toBe(false);
  expect(replayed.load.devices).toBe(9);
});
