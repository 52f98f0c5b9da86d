/** Who may ask at a server's control port: a table over certificates of the farm and of others, by real TLS. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR_NAME } from '../../src/control/caller.ts';
import { type KeyPair, makeAuthority, makeCertificate, type Subject } from '../../src/control/certificates.ts';
import { controlClient } from '../../src/control/client.ts';
import { type ControlServer, startControl } from '../../src/control/server.ts';
import type { ServerStatus } from '../../src/control/status.ts';
import { must } from '../fakes/farm.ts';

const ADDRESS = '127.0.0.1';
const DAY_MS = 86_400_000;
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-control-'));
const status: ServerStatus = {
  name: 'node-a',
  instance: '1',
  release: 'dev',
  site: 'default',
  pool: 'main',
  address: ADDRESS,
  state: 'Streaming',
  devices: 0,
  booting: 0,
  powerRating: 1,
  loadPercent: 0,
  journalEntries: 0,
  faults: [],
  stores: [],
  copies: [],
};

let authority: KeyPair;
let foreign: KeyPair;
let server: ControlServer;

beforeAll(async () => {
  authority = await makeAuthority('farm', Date.now());
  foreign = await makeAuthority('farm', Date.now());
  const own = await makeCertificate(authority, { names: ['node-a'], use: 'server' }, Date.now());
  const files = { 'tls.crt': own.cert, 'tls.key': own.key, 'ca.crt': authority.cert };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  server = must(await startControl({ address: ADDRESS, port: 0, tlsDirectory: folder, status: () => status }));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const operator: Subject = { names: [OPERATOR_NAME], use: 'client' };

test.each<{ who: string; subject: Subject; of?: 'foreign'; madeDaysAgo?: number; answered: boolean }>([
  { who: 'the operator', subject: operator, answered: true },
  { who: 'a server of the farm', subject: { names: ['node-b'], use: 'server' }, answered: false },
  { who: 'this server itself', subject: { names: ['node-a'], use: 'server' }, answered: false },
  { who: 'the database of the farm', subject: { names: ['farm-database'], use: 'server' }, answered: false },
  { who: 'a server on a node of that name', subject: { names: [OPERATOR_NAME], use: 'server' }, answered: false },
  { who: 'another client of the farm', subject: { names: ['somebody'], use: 'client' }, answered: false },
  { who: 'a longer name', subject: { names: [`${OPERATOR_NAME}.lab`], use: 'client' }, answered: false },
  { who: 'a wildcard', subject: { names: ['*'], use: 'client' }, answered: false },
  { who: 'the operator of another farm', subject: operator, of: 'foreign', answered: false },
  { who: 'an operator whose certificate has ended', subject: operator, madeDaysAgo: 91, answered: false },
])('$who is answered: $answered', async ({ subject, of, madeDaysAgo = 0, answered }) => {
  const signer = of === 'foreign' ? foreign : authority;
  const own = await makeCertificate(signer, subject, Date.now() - madeDaysAgo * DAY_MS);
  const client = controlClient({ ca: authority.cert, ...own });
  const answer = await client.status({ name: 'node-a', address: ADDRESS, port: server.port });
  await client.close();
  expect(answer.ok).toBe(answered);
});
