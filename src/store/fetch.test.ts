import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Fetch, fetchFile } from './fetch.ts';

const FILE = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7) % 251));
const OTHER = Buffer.from(FILE.map((byte) => byte ^ 1));
const HALF = 100_000;
const sha256 = createHash('sha256').update(FILE).digest('hex');

type Behaviour = (req: IncomingMessage, res: ServerResponse) => void;

/** As a web server is to be. */
const good: Behaviour = (req, res) => serve(req, res, FILE, '"one"');
function serve(req: IncomingMessage, res: ServerResponse, file: Buffer, etag?: string): void {
  const [, first] = /^bytes=(\d+)-$/.exec(req.headers.range ?? '') ?? [];
  const tag = etag === undefined ? {} : { etag };
  const condition = req.headers['if-range'];
  if (first === undefined || (condition !== undefined && condition !== etag)) {
    res.writeHead(200, { 'content-length': file.length, ...tag });
    res.end(file);
  } else if (Number(first) >= file.length) res.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
  else {
    const range = `bytes ${first}-${file.length - 1}/${file.length}`;
    res.writeHead(206, { 'content-length': file.length - Number(first), 'content-range': range, ...tag });
    res.end(file.subarray(Number(first)));
  }
}

/** Of a behaviour that says all of the file, only the first half comes. */
const cut =
  (file = FILE, etag?: string): Behaviour =>
  (_req, res) => {
    res.writeHead(200, { 'content-length': file.length, ...(etag === undefined ? {} : { etag }) });
    res.write(file.subarray(0, HALF), () => setImmediate(() => res.destroy()));
  };
const status =
  (code: number, headers: Record<string, string> = {}): Behaviour =>
  (_req, res) =>
    void res.writeHead(code, headers).end();
const saying =
  (headers: Record<string, string | number>, body: Buffer = FILE, code = 200): Behaviour =>
  (_req, res) =>
    void res.writeHead(code, headers).end(body);
/** A range is answered with these headers, all else as it is to be. */
const ranged =
  (headers: Record<string, string>, body: Buffer): Behaviour =>
  (req, res) =>
    req.headers.range === undefined ? good(req, res) : saying(headers, body, 206)(req, res);
const drip: Behaviour = (_req, res) => {
  res.writeHead(200, { 'content-length': FILE.length });
  const timer = setInterval(() => res.write(FILE.subarray(0, 1)), 10);
  res.on('close', () => clearInterval(timer));
};
/** Answers on its first bytes, as they are. */
const bytes =
  (text: string): Behaviour =>
  (_req, res) =>
    void res.socket?.end(text);

let script: Behaviour[] = [];
const heard: string[] = [];
const server = createServer((req, res) => {
  heard.push(req.headers.range ?? 'all');
  (script.shift() ?? good)(req, res);
});
let folder: string;
let url: string;
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}/lab.vmlinuz?signature=secret`;
});
afterAll(() => {
  server.closeAllConnections();
  return new Promise((done) => server.close(done));
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-fetch-'));
  script = [];
  heard.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const target = (): string => join(folder, 'lab.vmlinuz');
const limits = {
  ...{ silenceMs: 500, floorBytes: 1_000, floorMs: 500, connectMs: 10_000 },
  ...{ redirects: 3, tries: 4, backoff: { baseMs: 1, maxMs: 2 } },
};
const fetching = (more: Partial<Fetch> = {}) => fetchFile(target(), { url, sha256, limits, ...more });

async function isThere(): Promise<void> {
  expect(readdirSync(folder)).toEqual(['lab.vmlinuz']);
  expect(readFileSync(target()).equals(FILE)).toBe(true);
}

describe('fetched all the same is a file of which a server, twice in a row,', () => {
  test.each<{ what: string; first?: Behaviour[]; does: Behaviour; more?: Partial<Fetch> }>([
    { what: 'cuts the body', does: cut(FILE, '"one"') },
    { what: 'cuts the body, and has no validator', does: cut() },
    {
      what: 'falls silent in the body',
      does: (_req, res) => void res.writeHead(200, { 'content-length': FILE.length }).write(FILE.subarray(0, 9)),
    },
    { what: 'falls silent before its answer', does: () => undefined },
    { what: 'ends the connection', does: (_req, res) => void res.destroy() },
    { what: 'says no HTTP', does: bytes('hello\r\n\r\n') },
    { what: 'is busy', does: status(503, { 'retry-after': '3600' }) },
    { what: 'is as slow as can be', does: drip },
    { what: 'says that it is longer than it is', does: saying({ 'content-length': FILE.length + 9 }) },
    { what: 'ends early, and says no length', does: saying({}, FILE.subarray(0, 9)), more: { sizeBytes: FILE.length } },
    { what: 'leads on', does: status(302, { location: '/else' }) },
    { what: 'leads on to its whole address', does: (_req, res) => void status(307, { location: url })(_req, res) },
    { what: 'has no ranges', first: [cut()], does: saying({ 'content-length': FILE.length }) },
    { what: 'has no ranges, and cuts', first: [cut()], does: cut() },
    {
      what: 'answers with another range',
      first: [cut(FILE, '"one"')],
      does: ranged({ 'content-range': `bytes 5-${FILE.length - 1}/${FILE.length}`, etag: '"one"' }, FILE.subarray(5)),
    },
    {
      what: 'answers with less of the range',
      first: [cut(FILE, '"one"')],
      does: ranged({ 'content-range': `bytes ${HALF}-${HALF + 8}/${FILE.length}` }, FILE.subarray(HALF, HALF + 9)),
    },
    { what: 'answers with a range that it does not say', first: [cut()], does: ranged({}, FILE.subarray(HALF)) },
    {
      what: 'has another file by now, and answers with its rest',
      first: [cut(OTHER, '"old"')],
      does: ranged(
        { 'content-range': `bytes ${HALF}-${FILE.length - 1}/${FILE.length}`, etag: '"new"' },
        FILE.subarray(HALF),
      ),
    },
    { what: 'had another file before', first: [cut(OTHER, '"old"')], does: cut(OTHER, '"older"') },
    {
      what: 'had another file before, and does not say so',
      first: [cut(OTHER)],
      does: (req, res) => serve(req, res, FILE),
    },
    {
      what: 'had a longer one before',
      first: [cut(Buffer.concat([FILE, FILE, FILE]))],
      does: (_req, res) => cut(Buffer.concat([FILE, FILE]))(_req, res),
    },
  ])('$what', async ({ first = [], does, more }) => {
    script = [...first, does, does];
    expect(await fetching(more)).toEqual({ ok: true, value: { path: target(), sizeBytes: FILE.length } });
    await isThere();
  });
});

describe('refused, twice, and fetched when the server does it right, is a file', () => {
  test.each<{ what: string; does: Behaviour; code: string; more?: Partial<Fetch>; times?: number }>([
    { what: 'that is not there', does: status(404), code: 'HttpRefused' },
    {
      what: 'that comes compressed',
      does: saying({ 'content-encoding': 'gzip' }, gzipSync(FILE)),
      code: 'AnswerInvalid',
    },
    {
      what: 'that leads in a circle',
      does: status(301, { location: '/lab.vmlinuz' }),
      code: 'RedirectRefused',
      times: 4,
    },
    { what: 'that leads nowhere', does: status(302), code: 'AnswerInvalid' },
    {
      what: 'that leads to this machine',
      does: status(302, { location: 'file:///etc/shadow' }),
      code: 'RedirectRefused',
    },
    ...['localhost', '127.0.0.2', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '169.254.169.254', '[fe80::1]'].map(
      (host) => ({
        what: `that leads to ${host}`,
        does: status(302, { location: `http://${host}/latest` }),
        code: 'RedirectRefused',
      }),
    ),
    {
      what: 'that leads to another scheme',
      does: status(302, { location: 'ftp://127.0.0.1/' }),
      code: 'RedirectRefused',
    },
    {
      what: 'of which a part comes unasked',
      does: saying({ 'content-range': 'bytes 0-8/9' }, FILE, 206),
      code: 'AnswerInvalid',
    },
    { what: 'of no known size', does: saying({ 'transfer-encoding': 'chunked' }), code: 'SizeUnknown' },
    { what: 'of another size than was said', does: good, more: { sizeBytes: 7 }, code: 'SizeWrong' },
    {
      what: 'that is longer than was said',
      does: saying({ 'transfer-encoding': 'chunked' }),
      more: { sizeBytes: 7 },
      code: 'SizeWrong',
    },
    {
      what: 'that is longer than the server says',
      does: saying({ 'content-length': 7 }, FILE.subarray(0, 7)),
      code: 'DigestWrong',
    },
    { what: 'of other content', does: saying({ 'content-length': OTHER.length }, OTHER), code: 'DigestWrong' },
    {
      what: 'that there is no room for',
      does: (_req, res) => void res.writeHead(200, { 'content-length': 2 ** 49 }).flushHeaders(),
      code: 'NoSpace',
    },
    { what: 'that breaks off again and again', does: (_req, res) => void res.destroy(), code: 'Unreachable', times: 4 },
    { what: 'that is never sent faster', does: drip, code: 'TooSlow', times: 4 },
  ])('$what', async ({ does, code, more, times = 1 }) => {
    for (const _ of ['once', 'twice']) {
      script = Array.from({ length: times }, () => does);
      const refused = await fetching(more);
      expect(refused).toMatchObject({
        ok: false,
        error: { code, message: expect.stringContaining(code === 'NoSpace' ? folder : '127.0.0.1') },
      });
      if (code !== 'NoSpace') expect(JSON.stringify(refused)).not.toContain('secret');
      expect(script).toEqual([]);
      // Of the others nothing came.
      expect(readdirSync(folder)).toEqual(code === 'TooSlow' ? ['lab.vmlinuz.partial'] : []);
    }
    expect(await fetching()).toMatchObject({ ok: true });
    await isThere();
  });
});

describe('what an earlier run left', () => {
  test.each<{ what: string; left: Buffer; asks: string[] }>([
    { what: 'is gone on with', left: FILE.subarray(0, HALF), asks: [`bytes=${HALF}-`] },
    { what: 'may be all of it', left: FILE, asks: [`bytes=${FILE.length}-`] },
    { what: 'of another file is fetched anew', left: OTHER.subarray(0, HALF), asks: [`bytes=${HALF}-`, 'all'] },
    {
      what: 'of a longer file is fetched anew',
      left: Buffer.concat([FILE, FILE]),
      asks: [`bytes=${2 * FILE.length}-`, 'all'],
    },
  ])('$what', async ({ left, asks }) => {
    writeFileSync(`${target()}.partial`, left);
    const told: number[] = [];
    expect(await fetching({ onProgress: (done) => void told.push(done) })).toMatchObject({ ok: true });
    await isThere();
    expect(heard).toEqual(asks);
    expect(told.at(-1) ?? FILE.length).toBe(FILE.length);
  });
});

test('a server that cuts for ever is asked so often, and no more', async () => {
  script = Array.from({ length: 50 }, () => cut());
  const coarse = { ...limits, floorBytes: 50_000 };
  expect(await fetching({ limits: coarse })).toMatchObject({ error: { code: 'BrokeOff' } });
  expect(heard.length).toBeLessThan(20);
});

test('one that is cancelled while nothing comes ends at once', async () => {
  const stop = new AbortController();
  script = [() => stop.abort()];
  const patient = { ...limits, silenceMs: 3_600_000 };
  expect(await fetching({ signal: stop.signal, limits: patient })).toMatchObject({ error: { code: 'Cancelled' } });
});

test('what a try failed of is told before the next one, and when it is cancelled', async () => {
  const stop = new AbortController();
  const told: string[] = [];
  const onAgain = ({ message }: { readonly message: string }) => {
    told.push(message);
    if (told.length === 2) stop.abort();
  };
  const fetched = await fetching({ url: 'http://127.0.0.1:1/lab.vmlinuz', signal: stop.signal, onAgain });
  const why = /does not answer: .*ECONNREFUSED/;
  expect(told).toEqual([expect.stringMatching(why), expect.stringMatching(why)]);
  expect(fetched).toMatchObject({
    error: {
      code: 'Cancelled',
      message: expect.stringMatching(/^it was cancelled, and nothing had come; the last try: .*ECONNREFUSED/),
    },
  });
});

test('one that is cancelled stays for the next run', async () => {
  const stop = new AbortController();
  script = [cut(FILE, '"one"')];
  const cancelled = await fetching({ signal: stop.signal, onProgress: () => stop.abort() });
  expect(cancelled).toMatchObject({ error: { code: 'Cancelled' } });
  expect(readdirSync(folder)).toEqual(['lab.vmlinuz.partial']);
  expect(await fetching({ signal: stop.signal })).toMatchObject({ error: { code: 'Cancelled' } });
  expect(await fetching()).toMatchObject({ ok: true });
  await isThere();
});

test.each([
  { what: 'no address', more: { url: 'lab.vmlinuz' }, code: 'UrlInvalid', left: [] },
  { what: 'an address of a file', more: { url: 'file:///etc/shadow' }, code: 'UrlInvalid', left: [] },
  { what: 'nobody', more: { url: 'http://127.0.0.1:1/lab.vmlinuz' }, code: 'Unreachable', left: [] },
])('$what is $code', async ({ more, code, left }) => {
  expect(await fetching(more)).toMatchObject({ error: { code } });
  expect(readdirSync(folder)).toEqual(left);
});

test.each([
  { login: 'user:secret@', sent: 'user:secret' },
  { login: 'us%20er:%zz%40@', sent: 'us er:%zz@' },
  { login: '', sent: undefined },
])('name and password of $login are for the server of the address alone', async ({ login, sent }) => {
  const heard: (string | undefined)[] = [];
  const hear = (does: Behaviour) => (req: IncomingMessage, res: ServerResponse) => {
    heard.push(req.headers.authorization);
    does(req, res);
  };
  const other = createServer(hear(good));
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/lab.vmlinuz`;
  script = [hear(status(302, { location: '/here' })), hear(status(302, { location }))];
  expect(await fetching({ url: url.replace('user:secret@', login) })).toMatchObject({ ok: true });
  const basic = sent === undefined ? undefined : `Basic ${Buffer.from(sent).toString('base64')}`;
  expect(heard).toEqual([basic, basic, undefined]);
  other.closeAllConnections();
  await new Promise((done) => other.close(done));
});

test.each([
  { what: 'a small file', left: 0, size: 9 },
  { what: 'a large one', left: 0, size: FILE.length },
  { what: 'one of which an earlier run has the head', left: HALF, size: FILE.length },
])('the head of $what is judged once, and a fault is the end of it', async ({ left, size }) => {
  const file = FILE.subarray(0, size);
  if (left > 0) writeFileSync(`${target()}.partial`, file.subarray(0, left));
  const heads: [Buffer, number][] = [];
  const judgeHead = (head: Buffer, sizeBytes: number) => {
    heads.push([head, sizeBytes]);
    return { code: 'NotSupported', message: 'packed' } as const;
  };
  script = [(req, res) => serve(req, res, file, '"one"')];
  expect(await fetching({ judgeHead })).toEqual({ ok: false, error: { code: 'NotSupported', message: 'packed' } });
  expect(heads).toEqual([[file.subarray(0, 512), size]]);
  expect(readdirSync(folder)).toEqual([]);
});

test("where its name is another's when all of it came, nothing of it stays", async () => {
  script = [
    (req, res) => {
      writeFileSync(target(), 'golden');
      good(req, res);
    },
  ];
  expect(await fetching()).toMatchObject({ error: { code: 'FileExists' } });
  expect([readFileSync(target(), 'utf8'), readdirSync(folder)]).toEqual(['golden', ['lab.vmlinuz']]);
});

test('what is there is not overwritten', async () => {
  writeFileSync(target(), 'golden');
  expect(await fetching()).toMatchObject({ error: { code: 'FileExists' } });
  expect([readFileSync(target(), 'utf8'), heard]).toEqual(['golden', []]);
});
