/**
 * Who may use the loopback port of `bootfarm console`, which asks by the identity of whoever started it: the one browser that the printed address was
 * given to. Any page of the web can ask a port of this machine, and so can other people on it. Pure.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export interface Guard {
  /** `NAME:PORT`. A name of its own, so that no other port of this machine gets its cookie: cookies know no ports. */
  readonly host: string;
  /** Of the printed address; it holds once. */
  readonly token: string;
  /** Of the cookie. */
  readonly session: string;
  readonly isTokenUsed: boolean;
  /** The token was used by two: nobody knows by whom first. */
  readonly isOver: boolean;
}

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  /** Sec-Fetch-Site. */
  readonly site?: string | undefined;
  /** Sec-Purpose. */
  readonly purpose?: string | undefined;
  readonly cookie?: string | undefined;
}

export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'enter'; readonly setCookie: string }
  | { readonly kind: 'home' }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string; readonly isAlarm?: true };

const COOKIE = 'bootfarm-console';
const READS = ['GET', 'HEAD'];
const METHODS = [...READS, 'POST', 'PUT', 'PATCH', 'DELETE'];

export const addressOf = ({ host, token }: Pick<Guard, 'host' | 'token'>): string => `http://${host}/?token=${token}`;

interface Step {
  readonly guard: Guard;
  readonly verdict: Verdict;
}

/** A question, judged; and the guard that judges the next. */
export function judge(guard: Guard, asked: Asked): Step {
  const foreign = foreignness(guard, asked);
  if (foreign !== undefined) return { guard, verdict: refused(403, foreign) };
  const isKnown = !guard.isOver && isSame(cookieOf(asked.cookie), guard.session);
  const token = tokenIn(asked.url);
  if (token !== undefined && READS.includes(asked.method)) return enter(guard, asked, token, isKnown);
  if (isKnown) return { guard, verdict: { kind: 'pass' } };
  const message = guard.isOver
    ? 'this console was ended, because its address was used twice: run bootfarm console again'
    : 'open the address that bootfarm console printed: it lets one browser in, once';
  return { guard, verdict: refused(401, message) };
}

/** A page of another origin, or a name that leads here by somebody else's DNS. */
function foreignness({ host }: Guard, { method, host: asked, origin, site }: Asked): string | undefined {
  if (!METHODS.includes(method)) return `${method} is no question of the console`;
  if (asked?.toLowerCase() !== host) return 'the header Host is not that of this console';
  if (origin !== undefined && origin.toLowerCase() !== `http://${host}`)
    return 'the page that asks is of another origin';
  if (origin === undefined && !READS.includes(method)) return 'an edit has the header Origin';
  // Where somebody follows a link to the address it is cross-site, and a navigation: the token is what counts then, or the strict cookie.
  if (site === 'same-site' || (site === 'cross-site' && !READS.includes(method)))
    return 'the page that asks is of another site';
  return undefined;
}

function enter(guard: Guard, { purpose }: Asked, token: string, isKnown: boolean): Step {
  // A browser that looks ahead is not yet the one that was let in.
  if (purpose?.includes('prefetch')) return { guard, verdict: refused(503, 'the address is not fetched ahead') };
  if (isKnown) return { guard, verdict: { kind: 'home' } };
  if (!isSame(token, guard.token)) return { guard, verdict: refused(403, 'that is not the token of this console') };
  if (guard.isTokenUsed) {
    const message =
      'the address was used before, by another browser or by somebody else on this machine, so this console is over: run bootfarm console again';
    return { guard: { ...guard, isOver: true }, verdict: { ...refused(403, message), isAlarm: true } };
  }
  const setCookie = `${COOKIE}=${guard.session}; Path=/; HttpOnly; SameSite=Strict`;
  return { guard: { ...guard, isTokenUsed: true }, verdict: { kind: 'enter', setCookie } };
}

const refused = (status: number, message: string) => ({ kind: 'refused', status, message }) as const;

function tokenIn(url: string): string | undefined {
  const [path, query = ''] = url.split('?');
  return path === '/' ? (new URLSearchParams(query).get('token') ?? undefined) : undefined;
}

/** Where a name is there twice nobody says which counts. */
function cookieOf(header = ''): string {
  const found = header.split(';').flatMap((part) => {
    const [name, value = ''] = part.trim().split('=');
    return name === COOKIE ? [value] : [];
  });
  return found.length === 1 ? (found[0] ?? '') : '';
}

/** In the same time, whatever is asked. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** What of a question goes on to the API; who asks is said anew. */
const FORWARD = [
  ...['accept', 'accept-encoding', 'accept-language', 'cache-control', 'content-type', 'content-length'],
  ...['if-match', 'if-none-match', 'last-event-id', 'range'],
];
/** What of an answer is of the connection that it came by. */
const OWN = ['connection', 'keep-alive', 'transfer-encoding', 'set-cookie', 'strict-transport-security', 'alt-svc'];

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export const forwardedHeaders = (headers: Headers): Readonly<Record<string, string>> =>
  Object.fromEntries(FORWARD.flatMap((name) => (typeof headers[name] === 'string' ? [[name, headers[name]]] : [])));

export const answeredHeaders = (headers: Headers): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.includes(name)));
