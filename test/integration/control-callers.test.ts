/** Who may ask what at a server's control port: a table over certificates of the farm and of others, by real TLS. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Agent, request } from 'undici';
import { askingServer, OPERATOR_NAME, SERVER_NAME } from '../../src/control/caller.ts';
import { type KeyPair, makeAuthority, makeCertificate, type Subject } from '../../src/control/certificates.ts';
import { type ControlServer, startControl } from '../../src/control/server.ts';
import type { ServerStatus } from '../../src/control/status.ts';
import { NO_BOOTS } from '../fakes/boots.ts';
import { must } from '../fakes/farm.ts';
import { MemoryHoldings, manifestOf } from '../fakes/transfer.ts';

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

const CONTENT = randomBytes(100_000);
const MANIFEST = manifestOf(CONTENT);

let authority: KeyPair;
let foreign: KeyPair;
let server: ControlServer;

beforeAll(async () => {
  authority = await makeAuthority('farm', Date.now());
  foreign = await makeAuthority('farm', Date.now());
  const own = await makeCertificate(authority, { names: ['node-a'], use: 'server' }, Date.now());
  const files = { 'tls.crt': own.cert, 'tls.key': own.key, 'ca.crt': authority.cert };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'lab.raw'), CONTENT);
  const holdings = new MemoryHoldings();
  holdings.offer({ manifest: MANIFEST, path: join(folder, 'lab.raw'), has: 'all' });
  const tlsDirectory = folder;
  server = must(
    await startControl({ address: ADDRESS, port: 0, tlsDirectory, status: () => status, boots: NO_BOOTS, holdings }),
  );
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const FILE = `/v1/files/${MANIFEST.sha256}`;
const ROUTES = {
  status: '/v1/status',
  facts: FILE,
  manifest: `${FILE}/manifest`,
  chunks: `${FILE}/chunks/0-1`,
  boots: '/v1/boots?mac=52:54:00:00:00:01',
  unknown: '/v1/boots/unknown',
  another: `/v1/files/${'ab'.repeat(32)}`,
  nowhere: '/v1/orders',
};
const OPERATOR = {
  status: 200,
  boots: 200,
  unknown: 200,
  facts: 403,
  manifest: 403,
  chunks: 403,
  another: 403,
  nowhere: 404,
};
const SERVER = {
  status: 403,
  boots: 403,
  unknown: 403,
  facts: 200,
  manifest: 200,
  chunks: 200,
  another: 404,
  nowhere: 404,
};
/** By the port, of a certificate that the farm's authority signed for who asks. */
const REFUSED = {
  status: 403,
  boots: 403,
  unknown: 403,
  facts: 403,
  manifest: 403,
  chunks: 403,
  another: 403,
  nowhere: 403,
};
/** By TLS. */
const NOTHING = { status: 0, boots: 0, unknown: 0, facts: 0, manifest: 0, chunks: 0, another: 0, nowhere: 0 };

const operator: Subject = { names: [OPERATOR_NAME], use: 'client' };
const asking = askingServer('node-b');

test.each<{ who: string; subject?: Subject; of?: 'foreign'; madeDaysAgo?: number; gets: typeof NOTHING }>([
  { who: 'the operator', subject: operator, gets: OPERATOR },
  { who: 'a server that asks', subject: asking, gets: SERVER },
  { who: 'one on a node named as the operator', subject: askingServer(OPERATOR_NAME), gets: SERVER },
  { who: 'one on a node named as servers are', subject: askingServer(SERVER_NAME), gets: SERVER },
  { who: 'a server that answers', subject: { names: ['node-b'], use: 'server' }, gets: NOTHING },
  { who: 'this server itself', subject: { names: ['node-a'], use: 'server' }, gets: NOTHING },
  { who: 'the database of the farm', subject: { names: ['farm-database'], use: 'server' }, gets: NOTHING },
  { who: 'one that answers, named as the operator', subject: { ...operator, use: 'server' }, gets: NOTHING },
  { who: 'one that answers, named as servers are', subject: { names: [SERVER_NAME], use: 'server' }, gets: NOTHING },
  { who: 'another client of the farm', subject: { names: ['somebody'], use: 'client' }, gets: REFUSED },
  {
    who: 'a client with the name elsewhere',
    subject: { ...asking, names: ['a'], commonName: SERVER_NAME },
    gets: REFUSED,
  },
  { who: 'a longer name', subject: { names: [`${OPERATOR_NAME}.lab`], use: 'client' }, gets: REFUSED },
  { who: 'a wildcard', subject: { names: ['*'], use: 'client' }, gets: REFUSED },
  { who: 'the operator of another farm', subject: operator, of: 'foreign', gets: NOTHING },
  { who: 'a server of another farm', subject: asking, of: 'foreign', gets: NOTHING },
  { who: 'an operator whose certificate has ended', subject: operator, madeDaysAgo: 91, gets: NOTHING },
  { who: 'a server whose certificate has ended', subject: asking, madeDaysAgo: 91, gets: NOTHING },
  { who: 'nobody', gets: NOTHING },
])('$who gets what is his, and nothing else', async ({ subject, of, madeDaysAgo = 0, gets }) => {
  const signer = of === 'foreign' ? foreign : authority;
  const own = subject ? await makeCertificate(signer, subject, Date.now() - madeDaysAgo * DAY_MS) : {};
  const agent = new Agent({ connect: { ca: authority.cert, ...own, servername: 'node-a' } });
  const got: Record<string, number> = {};
  for (const [route, path] of Object.entries(ROUTES)) got[route] = await ask(agent, path);
  await agent.close();
  expect(got).toEqual(gets);
});

/** The status; 0: there is no answer. */
async function ask(dispatcher: Agent, path: string): Promise<number> {
  try {
    const answer = await request(`https://${ADDRESS}:${server.port}${path}`, { dispatcher });
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    if (answer.statusCode === 200 && path === ROUTES.chunks) expect(bytes.equals(CONTENT)).toBe(true);
    return answer.statusCode;
  } catch {
    return 0;
  }
}
