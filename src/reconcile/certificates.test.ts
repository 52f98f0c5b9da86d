import { X509Certificate } from 'node:crypto';
import { beforeAll, expect, test } from '@jest/globals';
import { isDue, type KeyPair, makeAuthority, makeCertificate } from './certificates.ts';

const NOW = Date.parse('2026-11-23T00:00:00Z');
const DAY_MS = 86_400_000;
let authority: KeyPair;
let certificate: KeyPair;
beforeAll(async () => {
  authority = await makeAuthority('lab', NOW);
  certificate = await makeCertificate(authority, 'node-a', NOW);
});

test('a certificate names its server and is signed by the authority', () => {
  const given = new X509Certificate(certificate.cert);
  expect(given.subjectAltName).toBe('DNS:node-a');
  expect(given.verify(new X509Certificate(authority.cert).publicKey)).toBe(true);
  expect(new X509Certificate(authority.cert).ca).toBe(true);
});

test.each([
  { days: 0, due: false },
  { days: 59, due: false },
  { days: 61, due: true },
  { days: 91, due: true },
])('after $days of 90 days it is due for a new one: $due', ({ days, due }) => {
  expect(isDue(certificate.cert, authority.cert, NOW + days * DAY_MS)).toBe(due);
});

test('text that is no certificate, and one of another authority, are due', async () => {
  expect(isDue('', authority.cert, NOW)).toBe(true);
  expect(isDue(certificate.cert, (await makeAuthority('other', NOW)).cert, NOW)).toBe(true);
  expect(isDue(certificate.cert, (await makeAuthority('lab', NOW)).cert, NOW)).toBe(true); // the same name, made anew
});
