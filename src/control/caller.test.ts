import { X509Certificate } from 'node:crypto';
import { beforeAll, expect, test } from '@jest/globals';
import { askingServer, type Caller, callerOf, OPERATOR_NAME, SERVER_NAME } from './caller.ts';
import { type KeyPair, makeAuthority, makeCertificate, type Subject } from './certificates.ts';

const OPERATOR: Caller = { kind: 'operator' };
const LONG = `${'a'.repeat(63)}.`.repeat(3) + 'b'.repeat(61);

let authority: KeyPair;
beforeAll(async () => {
  authority = await makeAuthority('lab', Date.now());
});

const server = (node: string): Caller => ({ kind: 'server', node });

test.each<{ who: string; subject: Subject; is?: Caller }>([
  { who: 'the operator', subject: { names: [OPERATOR_NAME], use: 'client' }, is: OPERATOR },
  { who: 'a server that asks', subject: askingServer('node-a'), is: server('node-a') },
  { who: 'one of the longest name', subject: askingServer(LONG), is: server(LONG) },
  { who: 'one on a node named as the operator', subject: askingServer(OPERATOR_NAME), is: server(OPERATOR_NAME) },
  { who: 'one on a node named as servers are', subject: askingServer(SERVER_NAME), is: server(SERVER_NAME) },
  { who: 'a server that answers', subject: { names: ['node-a'], use: 'server' } },
  { who: 'one that answers, on a node named as servers are', subject: { names: [SERVER_NAME], use: 'server' } },
  { who: 'one that answers, on a node named as the operator', subject: { names: [OPERATOR_NAME], use: 'server' } },
  { who: 'a client whose common name alone is that', subject: { ...askingServer(SERVER_NAME), names: ['somebody'] } },
  { who: 'a longer name', subject: { names: [`${SERVER_NAME}.lab`], use: 'client' } },
  { who: 'a wildcard', subject: { names: ['*'], use: 'client' } },
])('$who', async ({ subject, is }) => {
  const { cert } = await makeCertificate(authority, subject, Date.now());
  expect(callerOf(new X509Certificate(cert))).toEqual(is);
});

test('nobody is nobody', () => {
  expect(callerOf(undefined)).toBeUndefined();
});
