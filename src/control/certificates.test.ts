import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { beforeAll, expect, test } from '@jest/globals';
import { isDue, type KeyPair, makeAuthority, makeCertificate, type Subject } from './certificates.ts';

const NOW = Date.parse('2026-11-23T00:00:00Z');
const DAY_MS = 86_400_000;
const NODE: Subject = { names: ['node-a'], use: 'server' };
const ASKING: Subject = { names: ['bootfarm-server'], commonName: 'node-a', use: 'client' };
const DATABASE: Subject = { names: ['lab-database', 'lab-database.ns.svc'], addresses: ['10.96.0.7'], use: 'server' };
let authority: KeyPair;
let certificate: KeyPair;
beforeAll(async () => {
  authority = await makeAuthority('lab', NOW);
  certificate = await makeCertificate(authority, NODE, NOW);
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
  expect(isDue(certificate.cert, authority.cert, NODE, NOW + days * DAY_MS)).toBe(due);
});

test('text that is no certificate, and one of another authority, are due', async () => {
  expect(isDue('', authority.cert, NODE, NOW)).toBe(true);
  expect(isDue(certificate.cert, (await makeAuthority('other', NOW)).cert, NODE, NOW)).toBe(true);
  expect(isDue(certificate.cert, (await makeAuthority('lab', NOW)).cert, NODE, NOW)).toBe(true); // the same name, made anew
});

test('a certificate of several names and an address names all of them, and answers only', async () => {
  const { cert } = await makeCertificate(authority, DATABASE, NOW);
  const given = new X509Certificate(cert);
  expect(given.subjectAltName).toBe('DNS:lab-database, DNS:lab-database.ns.svc, IP Address:10.96.0.7');
  expect(given.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']); // serverAuth
  expect(isDue(cert, authority.cert, DATABASE, NOW)).toBe(false);
});

test.each<{ what: string; subject: Subject }>([
  { what: 'another name', subject: { ...NODE, names: ['node-b'] } },
  { what: 'one name more', subject: { ...NODE, names: ['node-a', 'node-b'] } },
  { what: 'an address more', subject: { ...NODE, addresses: ['10.0.0.1'] } },
  { what: 'another use', subject: { ...NODE, use: 'client' } },
])('wanted for $what, it is due', ({ subject }) => {
  expect(isDue(certificate.cert, authority.cert, subject, NOW)).toBe(true);
});

test('one that asks says who it is where no name of it is read, and is due for another node', async () => {
  const { cert } = await makeCertificate(authority, ASKING, NOW);
  expect(new X509Certificate(cert)).toMatchObject({ subject: 'CN=node-a', subjectAltName: 'DNS:bootfarm-server' });
  expect(isDue(cert, authority.cert, ASKING, NOW)).toBe(false);
  expect(isDue(cert, authority.cert, { ...ASKING, commonName: 'node-b' }, NOW)).toBe(true);
});

/** As Redis, PostgreSQL's clients and Node verify: OpenSSL takes the first of a bundle that has the issuer's name. */
test.each([[true], [false]])(
  'of two authorities of one farm each is believed, the one that signed first: %s',
  async (isFirst) => {
    const signer = await makeAuthority('lab', Date.now());
    const other = await makeAuthority('lab', Date.now());
    const { cert, key } = await makeCertificate(signer, NODE, Date.now());
    const server = createServer({ cert, key }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const ca = (isFirst ? [signer, other] : [other, signer]).map((authority) => authority.cert).join('');
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', servername: 'node-a', ca });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    socket.destroy();
    server.close();
  },
);
