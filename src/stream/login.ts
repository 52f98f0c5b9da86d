/** LOGIN on the main thread, its token opened: where the device goes (the role's decision), as TICKET, REDIRECT or REFUSE. */
import { type BootToken, sealTicket, TICKET_LIFE_SECONDS, type VersionRef } from '../farm/token.ts';
import type { KeyRing } from '../kit/seal.ts';
import type { Peer } from './cookie.ts';
import { attachKey, loginKeys, makeShare, sign } from './keys.ts';
import { BUSY_RETRY_MS, LOGIN_DECIDE_MS } from './limits.ts';
import { encode, type Mode, type Refusal, type ServerEntry, type Suite } from './packet.ts';
import type { PendingLogin } from './shard.ts';
import type { Sip } from './siphash.ts';

export interface LoginRequest {
  /** Opened and not expired. */
  readonly token: BootToken;
  /** The token is a ticket at half of its life: the device streams already. */
  readonly renew: boolean;
  /** Another server of the site placed the device here. */
  readonly redirected: boolean;
  readonly from: Peer;
  /** Unix milliseconds. */
  readonly now: number;
}

/** `NoServer`, `Busy`, `Offline` and so on: placement says which. */
export type LoginAnswer =
  | {
      readonly kind: 'ticket';
      readonly sizeBytes: number;
      readonly blockSize: 512 | 4096;
      /** The first is the server to attach to; the rest of the site follows. */
      readonly servers: readonly ServerEntry[];
      readonly listVersion: number;
    }
  | { readonly kind: 'redirect'; readonly server: ServerEntry }
  | {
      readonly kind: 'refuse';
      readonly code: Refusal;
      /** Finer than the wire's codes: for the story of the device's boot. */
      readonly reason?: string;
      readonly retryAfterMs: number;
      readonly text: string;
    };

export interface LoginPort {
  readonly sip: Sip;
  readonly ring: () => KeyRing;
  readonly mode: Mode;
  /** How we would tag answers of this version. */
  readonly suite: (version: VersionRef) => Suite;
  readonly wallMs: () => number;
  readonly decide: (request: LoginRequest) => Promise<LoginAnswer>;
}

/** The answer's bytes, or undefined when there is none to give (the share is no key). */
export async function answerLogin(port: LoginPort, pending: PendingLogin): Promise<Buffer | undefined> {
  const answer = await decide(port, pending);
  const header = { session: 0, number: 0, nonce: pending.nonce };
  switch (answer.kind) {
    case 'redirect':
      return encode({ type: 'REDIRECT', ...header, server: answer.server });
    case 'refuse': {
      const { code, retryAfterMs, text } = answer;
      const bytes = encode({ type: 'REFUSE', ...header, code, retryAfterMs, text });
      return pending.renews ? sign(port.sip, attachKey(pending.renews), bytes) : bytes;
    }
    case 'ticket':
      return ticketPacket(port, pending, answer);
  }
}

/** A renewal is never redirected: REDIRECT has no tag, and the device streams already. */
async function decide(port: LoginPort, { token, renews, redirected, from }: PendingLogin): Promise<LoginAnswer> {
  const renew = renews !== undefined;
  let deadline: NodeJS.Timeout | undefined;
  const late = new Promise<LoginAnswer>((resolve) => {
    deadline = setTimeout(() => resolve(busy('the login was not decided in time')), LOGIN_DECIDE_MS).unref();
  });
  try {
    const answer = await Promise.race([port.decide({ token, renew, redirected, from, now: port.wallMs() }), late]);
    return renew && answer.kind === 'redirect' ? busy('a renewal is not redirected') : answer;
  } catch {
    return busy('the login could not be decided');
  } finally {
    clearTimeout(deadline);
  }
}

const busy = (text: string): LoginAnswer => ({ kind: 'refuse', code: 'Busy', retryAfterMs: BUSY_RETRY_MS, text });

function ticketPacket(
  port: LoginPort,
  pending: PendingLogin,
  answer: Extract<LoginAnswer, { kind: 'ticket' }>,
): Buffer | undefined {
  const share = makeShare();
  const keys = loginKeys(share, pending.share, pending.share, share.bytes, pending.renews);
  if (!keys.ok) return undefined;
  const { sizeBytes, blockSize, servers, listVersion } = answer;
  const expires = Math.floor(port.wallMs() / 1000) + TICKET_LIFE_SECONDS;
  const key = Buffer.from(keys.value.sessionKey).toString('base64');
  const bytes = encode({
    type: 'TICKET',
    session: 0,
    number: 0,
    nonce: pending.nonce,
    share: share.bytes,
    sizeBytes,
    blockSize,
    mode: port.mode,
    suite: port.suite(pending.token),
    listVersion,
    ticket: sealTicket(port.ring(), { ...pending.token, sizeBytes, key, expires }),
    servers,
  });
  return sign(port.sip, keys.value.loginKey, bytes);
}
