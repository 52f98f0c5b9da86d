import { expect, test } from '@jest/globals';
import { type KeyRing, seal } from '../kit/seal.ts';
import { type BootToken, openBootToken, openTicket, sealBootToken, sealTicket } from './token.ts';

const ring: KeyRing = { current: 1, keys: new Map([[1, new Uint8Array(32).fill(7)]]) };
const token: BootToken = {
  device: 'pc0001',
  mac: '52:54:00:00:00:01',
  site: 'default',
  vdisk: 'lab',
  version: 0,
  manifest: 'a'.repeat(64),
  expires: 1_000,
};

test('a boot token opens until it expires', () => {
  expect(openBootToken(ring, sealBootToken(ring, token), 999)).toEqual({ ok: true, value: token });
  expect(openBootToken(ring, sealBootToken(ring, token), 1_000)).toMatchObject({ error: { code: 'TokenExpired' } });
});

test('a ticket is no boot token and a boot token no ticket', () => {
  const ticket = { ...token, key: 'k', sizeBytes: 512 };
  expect(openTicket(ring, sealTicket(ring, ticket), 0)).toEqual({ ok: true, value: ticket });
  expect(openTicket(ring, sealBootToken(ring, token), 0)).toMatchObject({ error: { code: 'TokenInvalid' } });
  expect(openBootToken(ring, sealTicket(ring, ticket), 0)).toMatchObject({ error: { code: 'TokenInvalid' } });
});

test('a sealed value that lacks fields is refused', () => {
  expect(openTicket(ring, seal(ring, 'ticket', { ...token }), 0)).toMatchObject({ error: { code: 'TokenInvalid' } });
});
