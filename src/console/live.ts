/**
 * The stream of changes of a farm, held open: it begins anew by itself when it broke off or fell silent, where it was. The server says something each second, so
 * silence of 4 s is a connection that is lost, whatever the socket says.
 */
import { backoffMs } from '../kit/backoff.ts';
import { ask, Refused } from './ask.ts';
import type { Change, ProblemBody, Reachable } from './shapes.ts';
import { eventReader, type ServerEvent } from './sse.ts';

const SILENCE_MS = 4_000;
const RETRY = { baseMs: 500, maxMs: 5_000 };

export type Link =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  | { readonly state: 'lost'; readonly since: number; readonly reason: string }
  /** It is not tried again: who asks is not known, may not, or the farm is gone. */
  | { readonly state: 'ended'; readonly since: number; readonly status: number; readonly reason: string };

export interface Listener {
  readonly link: (link: Link) => void;
  readonly reset: (database: Reachable | undefined) => void;
  readonly changes: (changes: readonly Change[]) => void;
}

/** What ends it. */
export function listen(path: string, listener: Listener): () => void {
  const ended = new AbortController();
  void hold(path, listener, ended.signal);
  return () => ended.abort();
}

async function hold(path: string, listener: Listener, ended: AbortSignal): Promise<void> {
  let lastEventId: string | undefined;
  let attempt = 0;
  let lostSince: number | undefined;
  listener.link({ state: 'connecting' });
  while (!ended.aborted) {
    const hear = (event: ServerEvent): void => {
      if (event.id !== '') lastEventId = event.id;
      take(event, listener);
    };
    const open = (): void => {
      attempt = 0;
      lostSince = undefined;
      listener.link({ state: 'live' });
    };
    const end = await once(path, lastEventId, ended, open, hear);
    if (ended.aborted) return;
    lostSince ??= Date.now();
    const since = lostSince;
    if (end.isFinal) return listener.link({ state: 'ended', since, status: end.status, reason: end.reason });
    listener.link({ state: 'lost', since, reason: end.reason });
    await pause(backoffMs(RETRY, attempt++), ended);
  }
}

interface End {
  readonly status: number;
  readonly reason: string;
  readonly isFinal: boolean;
}

const FINAL = [401, 403, 404];
const CODES: Readonly<Record<string, number>> = { Unauthenticated: 401, Forbidden: 403, NotFound: 404 };

/** One connection, until it ends. */
async function once(
  path: string,
  lastEventId: string | undefined,
  ended: AbortSignal,
  opened: () => void,
  hear: (event: ServerEvent) => void,
): Promise<End> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  let final: End | undefined;
  try {
    const response = await ask(path, {
      signal: AbortSignal.any([ended, silence.signal]),
      headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
    });
    if (!response.body) throw new Refused(0, 'the browser gives no stream');
    heard();
    opened();
    const read = eventReader();
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      heard();
      for (const event of read(piece)) {
        if (event.event === 'end') final = endOf(JSON.parse(event.data) as ProblemBody & { message?: string });
        else hear(event);
      }
    }
    return final ?? { status: 0, reason: 'the operator ended the connection', isFinal: false };
  } catch (thrown) {
    if (silence.signal.aborted)
      return { status: 0, reason: `nothing was heard for ${SILENCE_MS / 1_000} s`, isFinal: false };
    if (thrown instanceof Refused)
      return { status: thrown.status, reason: thrown.message, isFinal: FINAL.includes(thrown.status) };
    return { status: 0, reason: 'the connection broke off', isFinal: false };
  } finally {
    clearTimeout(timer);
  }
}

/** The operator says why it ends a stream. */
function endOf({ code, detail, message }: ProblemBody & { readonly message?: string }): End {
  const status = CODES[code] ?? 0;
  return { status, reason: detail ?? message ?? code, isFinal: FINAL.includes(status) };
}

function take({ event, data }: ServerEvent, listener: Listener): void {
  if (event === 'reset') listener.reset((JSON.parse(data) as { database?: Reachable }).database);
  if (event === 'changes') listener.changes((JSON.parse(data) as { changes: readonly Change[] }).changes);
}

/** A network that is back is tried at once. */
function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      ended.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener('online', done);
    ended.addEventListener('abort', done);
  });
}
