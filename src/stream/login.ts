/** LOGIN on the main thread: token → where the device goes (the role's decision) → TICKET, REDIRECT or REFUSE. */
import { type BootToken, openBootToken, openTicket, sealTicket, TICKET_LIFE_SECONDS } from '../farm/token.ts';
import type { KeyRing } from '../kit/seal.ts';
import type { Peer } from './cookie.ts';
import { loginKeys, makeShare, sign } from './keys.ts';
import { BUSY_RETRY_MS, MAX_SERVERS } from './limits.ts';
import { decode, encode, type Login, type Mode, type Refusal, type ServerEntry } from './packet.ts';
import { type PendingLogin, refusedDevice } from './session.ts';
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
  | { readonly kind: 'refuse'; readonly code: Refusal; readonly retryAfterMs: number; readonly text: string };

export interface LoginPort {
  readonly sip: Sip;
  readonly ring: () => KeyRing;
  readonly site: string;
  readonly mode: Mode;
  readonly wallMs: () => number;
  readonly draining: () => boolean;
  /** A device whose right to stream ended: its ticket is not renewed. */
  readonly refused: (device: string) => boolean;
  readonly decide: (request: LoginRequest) => Promise<LoginAnswer>;
}

/** The answer's bytes, or undefined when there is none to give (the share is no key). */
export async function answerLogin(port: LoginPort, pending: PendingLogin): Promise<Buffer | undefined> {
  const decoded = decode(Buffer.from(pending.packet));
  if (!decoded.ok || decoded.value.type !== 'LOGIN') return undefined;
  const packet = decoded.value;
  const answer = await decide(port, packet, pending.from);
  const header = { session: 0, number: 0, nonce: packet.nonce };
  switch (answer.kind) {
    case 'redirect':
      return encode({ type: 'REDIRECT', ...header, server: answer.server });
    case 'refuse': {
      const { code, retryAfterMs, text } = answer;
      return encode({ type: 'REFUSE', ...header, code, retryAfterMs, text });
    }
    case 'ticket':
      return ticketPacket(port, packet, answer);
  }
}

type Decided =
  | Exclude<LoginAnswer, { kind: 'ticket' }>
  | (Extract<LoginAnswer, { kind: 'ticket' }> & { token: BootToken });

async function decide(port: LoginPort, packet: Login, from: Peer): Promise<Decided> {
  const now = port.wallMs();
  const open = packet.renew ? openTicket : openBootToken;
  const opened = open(port.ring(), packet.token, Math.floor(now / 1000));
  if (!opened.ok) return { kind: 'refuse', code: opened.error.code, retryAfterMs: 0, text: opened.error.message };
  const { device, mac, site, vdisk, version, manifest, expires } = opened.value;
  const token: BootToken = { device, mac, site, vdisk, version, manifest, expires };
  if (site !== port.site)
    return {
      kind: 'refuse',
      code: 'TokenInvalid',
      retryAfterMs: 0,
      text: `the token is of site ${site}, this server of ${port.site}`,
    };
  if (packet.renew && port.refused(device)) {
    const [code, retryAfterMs, text] = refusedDevice(device);
    return { kind: 'refuse', code, retryAfterMs, text };
  }
  if (port.draining()) return { kind: 'refuse', code: 'Draining', retryAfterMs: 0, text: 'this server is leaving' };
  try {
    const answer = await port.decide({ token, renew: packet.renew, redirected: packet.redirected, from, now });
    return answer.kind === 'ticket' ? { ...answer, token } : answer;
  } catch {
    return { kind: 'refuse', code: 'Busy', retryAfterMs: BUSY_RETRY_MS, text: 'the login could not be decided' };
  }
}

function ticketPacket(
  port: LoginPort,
  packet: Login,
  answer: Extract<Decided, { kind: 'ticket' }>,
): Buffer | undefined {
  const share = makeShare();
  const keys = loginKeys(share, packet.share, packet.share, share.bytes);
  if (!keys.ok) return undefined;
  const { token, sizeBytes, blockSize, servers, listVersion } = answer;
  const expires = Math.floor(port.wallMs() / 1000) + TICKET_LIFE_SECONDS;
  const key = Buffer.from(keys.value.sessionKey).toString('base64');
  const bytes = encode({
    type: 'TICKET',
    session: 0,
    number: 0,
    nonce: packet.nonce,
    share: share.bytes,
    sizeBytes,
    blockSize,
    mode: port.mode,
    listVersion,
    ticket: sealTicket(port.ring(), { ...token, sizeBytes, key, expires }),
    servers: servers.slice(0, MAX_SERVERS),
  });
  return sign(port.sip, keys.value.loginKey, bytes);
}
