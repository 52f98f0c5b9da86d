import { expect, test } from '@jest/globals';
import { ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { Callers, type ClientCertificate, callerOfCertificate } from './caller.ts';

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
  expect(said(await callers.of('Bearer t', certificate()))).toMatch(/^ReviewsAway: .*no route/);
  isAway = false;
  const both = await Promise.all([callers.of('bearer t', certificate()), callers.of('Bearer t', undefined)]);
  expect(both.map(said)).toEqual(Array(2).fill('{"username":"bob","groups":["x"]}'));
  expect(asked).toBe(2);
  for (const header of ['Basic dTpw', 'Bearer', `Bearer ${'x'.repeat(9_000)}`])
    expect(said(await callers.of(header, certificate()))).toMatch(/^Unauthenticated: .*no bearer token/);
  expect(said(await callers.of(undefined, undefined))).toMatch(/^Unauthenticated: send a bearer token/);
  expect(asked).toBe(2);
});
