import { describe, expect, test } from '@jest/globals';
import { type Asked, addressOf, answeredHeaders, forwardedHeaders, type Guard, judge } from './guard.ts';

const HOST = 'bootfarm-0011.localhost:8080';
const FRESH: Guard = { host: HOST, token: 'once', session: 'secret', isTokenUsed: false, isOver: false };
const USED: Guard = { ...FRESH, isTokenUsed: true };
const OWN = `http://${HOST}`;
const COOKIE = 'bootfarm-console=secret';
const asked = (more: Partial<Asked> = {}): Asked => ({ method: 'GET', url: '/', host: HOST, ...more });

describe('the address', () => {
  test('lets one browser in, and takes the token out of its address', () => {
    expect(addressOf(FRESH)).toBe(`${OWN}/?token=once`);
    const { guard, verdict } = judge(FRESH, asked({ url: '/?token=once', site: 'none' }));
    expect(verdict).toEqual({
      kind: 'enter',
      setCookie: 'bootfarm-console=secret; Path=/; HttpOnly; SameSite=Strict',
    });
    expect(guard).toEqual(USED);
  });

  test('again with the cookie leads home; without it, all is over for both', () => {
    expect(judge(USED, asked({ url: '/?token=once', cookie: COOKIE })).verdict).toEqual({ kind: 'home' });
    const { guard, verdict } = judge(USED, asked({ url: '/?token=once' }));
    expect(verdict).toMatchObject({ kind: 'refused', status: 403, isAlarm: true });
    expect(judge(guard, asked({ url: '/api/v1/farms', cookie: COOKIE })).verdict).toMatchObject({
      status: 401,
      message: expect.stringContaining('its address was used twice'),
    });
  });

  test('is not used up by a browser that looks ahead, nor by a guess', () => {
    for (const more of [
      { url: '/?token=once', purpose: 'prefetch;prerender' },
      { url: '/?token=other' },
      { url: '/?token=' },
    ]) {
      const { guard, verdict } = judge(FRESH, asked(more));
      expect(verdict.kind).toBe('refused');
      expect(guard).toEqual(FRESH);
    }
  });
});

describe('who has the cookie', () => {
  test.each<[string, Partial<Asked>]>([
    ['asks', { url: '/api/v1/farms', site: 'same-origin', origin: OWN }],
    ['reloads', { site: 'none' }],
    ['edits', { method: 'PUT', url: '/api/v1/x', origin: OWN, site: 'same-origin' }],
    ['has other cookies, too', { cookie: `a=b; ${COOKIE}; c=d` }],
    ['writes its name otherwise', { host: HOST.toUpperCase() }],
  ])('%s: passed on', (_what, more) => {
    expect(judge(USED, asked({ cookie: COOKIE, ...more })).verdict).toEqual({ kind: 'pass' });
  });

  test.each<[string, Partial<Asked>, number, string]>([
    ['a name that DNS leads here (rebinding)', { host: 'evil.example:8080' }, 403, 'Host'],
    ['the address without its name', { host: '127.0.0.1:8080' }, 403, 'Host'],
    ['another port', { host: 'bootfarm-0011.localhost:8081' }, 403, 'Host'],
    ['no Host', { host: undefined }, 403, 'Host'],
    ['a page of the web', { origin: 'https://evil.example', site: 'cross-site' }, 403, 'another origin'],
    ['a page in a sandbox', { origin: 'null' }, 403, 'another origin'],
    ['another port of this machine', { origin: 'http://localhost:3000', site: 'cross-site' }, 403, 'another origin'],
    ['https of the same name', { origin: `https://${HOST}` }, 403, 'another origin'],
    ['a form of another site', { method: 'POST', site: 'cross-site' }, 403, 'Origin'],
    ['an edit without Origin', { method: 'DELETE' }, 403, 'Origin'],
    ['a sibling', { site: 'same-site' }, 403, 'another site'],
    ['a method that no page has', { method: 'CONNECT', origin: OWN }, 403, 'no question'],
    ['no cookie', { cookie: undefined }, 401, 'open the address'],
    ['a wrong cookie', { cookie: 'bootfarm-console=guess' }, 401, 'open the address'],
    ['two cookies of the name', { cookie: `bootfarm-console=other; ${COOKIE}` }, 401, 'open the address'],
    ['the token elsewhere', { url: '/api/v1/farms?token=once', cookie: undefined }, 401, 'open the address'],
  ])('%s: refused', (_what, more, status, says) => {
    const { guard, verdict } = judge(USED, asked({ cookie: COOKIE, ...more }));
    expect(verdict).toMatchObject({ kind: 'refused', status, message: expect.stringContaining(says) });
    expect(guard).toEqual(USED);
  });
});

test('who asks, and by which cookie, is not the browser to say; nor is the connection of the API its own', () => {
  expect(
    forwardedHeaders({
      accept: 'a',
      cookie: COOKIE,
      authorization: 'Bearer x',
      'impersonate-user': 'root',
      origin: OWN,
      'if-match': '"1"',
    }),
  ).toEqual({ accept: 'a', 'if-match': '"1"' });
  expect(
    answeredHeaders({ 'content-type': 't', 'set-cookie': ['a=b'], 'transfer-encoding': 'chunked', etag: '"1"' }),
  ).toEqual({
    'content-type': 't',
    etag: '"1"',
  });
});
