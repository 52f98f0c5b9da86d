import { createPrivateKey, X509Certificate } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { makeAuthority } from '../control/certificates.ts';
import type { SecretData } from '../reconcile/secrets.ts';
import { wanted } from './certificate.ts';

const PLACE = { namespace: 'bootfarm', service: 'bootfarm-api' };
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 1);

test('what serves is kept, and what would not is made anew', async () => {
  const good = await wanted({}, PLACE, NOW);
  const other = await makeAuthority('other', NOW);
  const tomorrow = await wanted({}, PLACE, NOW + DAY_MS);
  const [cert, key, text] = [other.cert, other.key, 'no key'].map((pem) => Buffer.from(pem)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const cases: readonly (readonly [string, SecretData, readonly string[]])[] = [
    ['as it is', good, []],
    ['a key of another certificate', { ...good, 'tls.key': key }, ['tls.crt', 'tls.key']],
    ['a key that is none', { ...good, 'tls.key': text }, ['tls.crt', 'tls.key']],
    ['an authority of another key', { ...good, 'ca.key': key }, Object.keys(good)],
    ['another authority', { ...good, 'ca.crt': cert, 'ca.key': key }, ['tls.crt', 'tls.key']],
    ['of tomorrow', tomorrow, Object.keys(good)],
  ];
  for (const [what, held, anew] of cases) {
    const now = await wanted(held, PLACE, NOW);
    const changed = Object.keys(now).filter((name) => !held[name]?.equals(now[name] ?? Buffer.alloc(0)));
    expect([what, changed.sort()]).toEqual([what, [...anew].sort()]);
    const { 'tls.crt': crt, 'tls.key': pem, 'ca.crt': ca } = now as Record<string, Buffer>;
    const served = new X509Certificate(crt as Buffer);
    expect(served.checkPrivateKey(createPrivateKey(pem as Buffer))).toBe(true);
    expect(served.verify(new X509Certificate(ca as Buffer).publicKey)).toBe(true);
  }
});
