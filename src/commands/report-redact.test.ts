import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { redacted, redactedText } from './report-redact.ts';

const SEED = 16;
const letters = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const secret = fc
  .array(fc.constantFrom(...letters), { minLength: 12, maxLength: 40 })
  .map((all) => `Zq7${all.join('')}`);
/** Whatever stands before and behind, on lines of their own or in the same one. */
const around = fc.string({ maxLength: 60, unit: 'grapheme-ascii' }).map((text) => text.replace(/["'\\]/g, ' '));

/** Each kind of secret where it was seen, or may stand. */
const IN_TEXT: Readonly<Record<string, (secret: string) => string>> = {
  'a database URI': (s) => `postgresql://farm:${s}@db:5432/farm?sslmode=verify-full`,
  'a URI whose password has an @': (s) => `postgresql://farm:a@${s}@db/farm`,
  'a Redis URI without a user': (s) => `rediss://:${s}@replica:6379`,
  'a query': (s) => `GET https://images.example/lab.raw?token=${s}&x=1`,
  'an argument': (s) => `--password=${s} --next`,
  JSON: (s) => `{"level":"info","password":"${s}","next":1}`,
  'JSON in JSON': (s) => `{"body":"{\\"token\\":\\"${s}\\"}"}`,
  YAML: (s) => `  bootToken: ${s}\n`,
  'a header': (s) => `authorization: Bearer ${s}`,
  'basic authorization': (s) => `Authorization: Basic ${s}==`,
  'a JWT': (s) => `got eyJhbGciOiJSUzI1NiJ9.${s}.${s} from`,
  'a private key': (s) => `-----BEGIN PRIVATE KEY-----\n${s}\n${s}\n-----END PRIVATE KEY-----`,
  'a private key that was cut': (s) => `-----BEGIN EC PRIVATE KEY-----\\n${s}`,
  'a ticket': (s) => `renewed by ${s}${s}${s}${s}`,
};
test.each(Object.entries(IN_TEXT))('%s is taken out of any text, and what is left stays (seed 16)', (_, plant) => {
  fc.assert(
    fc.property(secret, around, around, (hidden, before, behind) => {
      const told = redactedText(`${before}\n ${plant(hidden)}\n${behind}`);
      expect(told).not.toContain(hidden);
      expect(redactedText(told)).toBe(told);
    }),
    { seed: SEED, numRuns: 100 },
  );
});

const IN_OBJECTS: Readonly<Record<string, (secret: string) => object>> = {
  'data of a Secret': (s) => ({ kind: 'Secret', metadata: { name: 'a' }, data: { any: s }, stringData: { other: s } }),
  'a variable': (s) => ({
    env: [
      { name: 'PGPASSWORD', value: s },
      { name: 'API_KEY', value: s },
    ],
  }),
  'an argument of two words': (s) => ({ args: ['--token', s, 'next'] }),
  'a field': (s) => ({ spec: { chap: { password: s, clientSecret: s } } }),
  'what somebody applied': (s) => ({
    metadata: {
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': s },
      managedFields: [{ manager: s }],
    },
  }),
  ...Object.fromEntries(
    Object.entries(IN_TEXT).map(([what, plant]) => [`${what} in a message`, (s: string) => ({ message: plant(s) })]),
  ),
};
test.each(Object.entries(IN_OBJECTS))('%s is taken out of objects', (_, plant) => {
  fc.assert(
    fc.property(secret, (hidden) => {
      expect(JSON.stringify(redacted({ items: [plant(hidden)] }))).not.toContain(hidden);
    }),
    { seed: SEED, numRuns: 30 },
  );
});

test.each([
  'image bootfarm.local/bootfarm@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
  'reconciled key=lab/farm in 12 ms',
  'secretRef names bootfarm-server-main-node-a-with-a-very-long-name-0123456789',
  'replica at rediss://replica:6379 is Lagging since 2026-11-30T04:40:01Z',
])('%s stays', (text) => {
  expect(redactedText(text)).toBe(text);
});

test('what stands behind a key stays', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----';
  expect(redactedText(`before\n${key}\nbehind`)).toBe('before\n<redacted>\nbehind');
});

test('names of Secrets and of variables stay', () => {
  const pod = {
    env: [{ name: 'BOOTFARM_DATABASE_URI_FILE', value: '/etc/uri' }],
    volumes: [{ secret: { secretName: 'farm-keys' } }],
    automountServiceAccountToken: false,
  };
  expect(redacted(pod)).toEqual(pod);
});
