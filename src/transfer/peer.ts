/** Another server, as one that may have a file: asked over HTTPS with mutual TLS. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Answered, Connection, type Place } from './connection.ts';
import { chunksOf } from './holdings.ts';
import { MAX_MANIFEST_BYTES } from './manifest.ts';
import {
  ALL,
  FILES,
  isFacts,
  isPropertiesList,
  MAX_FACTS_BYTES,
  MAX_PROPERTIES_BYTES,
  PROPERTIES,
  runsOf,
  type ShownProperties,
} from './wire.ts';

/** `Absent`: it has not what was asked for. `Busy`: it has, and later. `Invalid`: no answer of ours. */
export type PeerFault = Fault<'Absent' | 'Busy' | 'Unreachable' | 'Invalid'>;

export interface PeerFacts {
  readonly root: string;
  /** A byte a chunk. */
  readonly has: Uint8Array | 'all';
}

export interface Peer {
  readonly name: string;
  facts(sha256: string, chunks: number, signal?: AbortSignal): Promise<Result<PeerFacts, PeerFault>>;
  properties(signal?: AbortSignal): Promise<Result<readonly ShownProperties[], PeerFault>>;
  manifest(sha256: string, signal?: AbortSignal): Promise<Result<Buffer, PeerFault>>;
  /** Their bytes, one after another, which fill `to`. */
  chunks(
    sha256: string,
    chunks: readonly number[],
    to: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Result<void, PeerFault>>;
  close(): void;
}

export interface PeerAddress {
  /** In its certificate. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** PEM: our certificate and its key, and the authority that signed theirs. */
export interface PeerIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const TIMEOUT_MS = 10_000;
/** Of TLS 1.3, the one that costs the least. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256';
/** What says that something is not given. */
const MAX_REFUSAL_BYTES = 4 << 10;

/** Made once: reading keys costs as much as a hand-shake. */
const contexts = new WeakMap<PeerIdentity, SecureContext>();

function contextOf(identity: PeerIdentity): SecureContext {
  const known = contexts.get(identity);
  if (known) return known;
  const { ca, cert, key } = identity;
  const made = createSecureContext({ ca, cert, key, ciphers: CIPHERS, minVersion: 'TLSv1.3' });
  contexts.set(identity, made);
  return made;
}

export function peerAt({ name, host, port }: PeerAddress, identity: PeerIdentity, timeoutMs = TIMEOUT_MS): Peer {
  const idle: Connection[] = [];
  const open = new Set<Connection>();
  const options = { secureContext: contextOf(identity), host, port, servername: name };

  const take = (): { connection: Connection; isNew: boolean } => {
    for (let connection = idle.pop(); connection; connection = idle.pop()) {
      if (connection.isOpen) return { connection, isNew: false };
      open.delete(connection);
    }
    const connection = new Connection(options, timeoutMs);
    open.add(connection);
    return { connection, isNew: true };
  };

  const ask = async (path: string, place: Place, signal?: AbortSignal): Promise<Result<Answered, PeerFault>> => {
    for (;;) {
      const { connection, isNew } = take();
      try {
        const answer = await connection.ask(path, place, signal);
        idle.push(connection);
        return answer.status === 200 ? ok(answer) : refused(name, answer.status);
      } catch (thrown) {
        open.delete(connection);
        // One that was idle may have been closed by the other side just now.
        if (isNew || signal?.aborted) return fail('Unreachable', `server ${name}: ${errorMessage(thrown)}`);
      }
    }
  };

  const whole = async (path: string, maxBytes: number, signal?: AbortSignal): Promise<Result<Buffer, PeerFault>> => {
    const place: Place = (status, length) =>
      length <= (status === 200 ? maxBytes : MAX_REFUSAL_BYTES) ? Buffer.alloc(length) : undefined;
    const answer = await ask(path, place, signal);
    return answer.ok ? ok(Buffer.from(answer.value.body)) : answer;
  };

  return {
    name,
    async facts(sha256, chunks, signal) {
      const answer = await whole(`${FILES}/${sha256}`, MAX_FACTS_BYTES, signal);
      return answer.ok ? factsOf(name, answer.value, chunks) : answer;
    },
    async properties(signal) {
      const answer = await whole(PROPERTIES, MAX_PROPERTIES_BYTES, signal);
      if (!answer.ok) return answer;
      const shown = parsed(answer.value);
      return isPropertiesList(shown)
        ? ok(shown)
        : fail('Invalid', `server ${name} answered with no list of properties`);
    },
    manifest: (sha256, signal) => whole(`${FILES}/${sha256}/manifest`, MAX_MANIFEST_BYTES, signal),
    async chunks(sha256, chunks, to, signal) {
      const place: Place = (status, length) => {
        if (status === 200) return length === to.length ? to : undefined;
        return length <= MAX_REFUSAL_BYTES ? Buffer.alloc(length) : undefined;
      };
      const answer = await ask(`${FILES}/${sha256}/chunks/${runsOf(chunks)}`, place, signal);
      return answer.ok ? ok(undefined) : answer;
    },
    close() {
      for (const connection of open) connection.close();
      open.clear();
    },
  };
}

/** Undefined: it is no JSON. */
function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

function factsOf(name: string, body: Buffer, chunks: number): Result<PeerFacts, PeerFault> {
  const facts = parsed(body);
  if (!isFacts(facts)) return fail('Invalid', `server ${name} answered with no facts of a file`);
  const { root, has } = facts;
  return ok({ root, has: has === ALL ? 'all' : chunksOf(Buffer.from(has, 'base64'), chunks) });
}

const refused = (name: string, status: number): Result<never, PeerFault> =>
  status === 404
    ? fail('Absent', `server ${name} has it not`)
    : status === 503 || status === 429
      ? fail('Busy', `server ${name} is busy`)
      : fail('Invalid', `server ${name} answered ${status}`);
