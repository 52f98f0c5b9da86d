import { expect, test } from '@jest/globals';
import { ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { Callers, type ClientCertificate, callerOfCertificate } from './caller.ts';
import { UNKNOWN_TOKENS } from './limits.ts';

const certificate = (more: Partial<ClientCertificate> = {}): ClientCertificate => ({
  authorized: true,
  reason: '',
  subject: { CN: 'ann', O: ['staff', 'lab'] },
  notAfter: 1_000,
  ...more,
});
const said = (answer: Result<unknown, { readonly code: string; readonly message: string }>): string =>
  answer.ok ? JSON.stringify(answer.value) : `${answer.error.code}: ${answer.error.message}`;

test.each<[string, Partial<ClientCertificate>, RegExp]>([
  ['of the cluster', {}, /^{"username":"ann","groups":\["staff","lab","system:authenticated"\]}$/],
  ['of one group', { subject: { CN: 'ann', O: 'staff' } }, /\["staff","system:authenticated"\]/],
  ['of no group', { subject: { CN: 'ann' } }, /\["system:authenticated"\]/],
  ['with two names: the last is the user', { subject: { CN: ['a', 'b'] } }, /"username":"b"/],
  ['of another authority', { authorized: false, reason: 'SELF_SIGNED' }, /^Unauthenticated: .*\(SELF_SIGNED\)/],
  ['that ended', { notAfter: 999 }, /^Unauthenticated: .*ended at 1970-01-01T00:00:00.999Z/],
  ['without a name', { subject: { O: 'staff' } }, /^Unauthenticated: .*no common name/],
])('a certificate %s', (_, more, says) => {
  expect(said(callerOfCertificate(certificate(more), 999))).toMatch(says);
});

test('a token outweighs a certificate, is asked for once, and a fault of the API is not kept', async () => {
  let asked = 0;
  let isAway = true;
  const create = async () => {
    asked++;
    return isAway
      ? { ok: false, error: { code: 'Unreachable', message: 'no route' } }
      : ok({ status: { authenticated: true, user: { username: 'bob', groups: ['x'] } } });
  };
  const callers = new Callers({ create } as unknown as Pick<Client, 'create'>);
  expect(said(await callers.of('Bearer t', certificate(), 'a'))).toMatch(/^ReviewsAway: .*no route/);
  isAway = false;
  const both = await Promise.all([callers.of('bearer t', certificate(), 'a'), callers.of('Bearer t', undefined, 'a')]);
  expect(both.map(said)).toEqual(Array(2).fill('{"username":"bob","groups":["x"]}'));
  expect(asked).toBe(2);
  for (const header of ['Basic dTpw', 'Bearer', `Bearer ${'x'.repeat(9_000)}`])
    expect(said(await callers.of(header, certificate(), 'a'))).toMatch(/^Unauthenticated: .*no bearer token/);
  expect(said(await callers.of(undefined, undefined, 'a'))).toMatch(/^Unauthenticated: send a bearer token/);
  expect(asked).toBe(2);
});

test('a storm of tokens that nobody is known by ends at a budget of its address, and keeps nobody else out', async () => {
  let asked = 0;
  const create = async (_: unknown, { spec }: { readonly spec: { readonly token: string } }) => {
    asked++;
    return ok({ status: spec.token === 'good' ? { authenticated: true, user: { username: 'ann' } } : {} });
  };
  const callers = new Callers({ create } as unknown as Pick<Client, 'create'>);
  const of = async (token: string, address = 'a') => said(await callers.of(`Bearer ${token}`, undefined, address));
  expect(await of('good')).toMatch(/ann/);
  const storm = await Promise.all(Array.from({ length: 2_000 }, (_, n) => of(`x${n}`)));
  expect(storm.filter((answer) => answer.startsWith('Unauthenticated')).length).toBeLessThan(UNKNOWN_TOKENS.burst + 20);
  expect(storm.at(-1)).toMatch(/^TooMany: more than 20 tokens a second that are not known come from a/);
  const before = asked;
  expect([await of('good'), await of('x0')]).toEqual([expect.stringMatching(/ann/), expect.stringMatching(/does not/)]);
  expect(asked).toBe(before);
  expect(await of('another', 'b')).toMatch(/^Unauthenticated/);
});
