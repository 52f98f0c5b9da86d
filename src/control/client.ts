/** The operator's side of the control port: one pooled agent for all servers, mutual TLS with the farm's control CA. */
import { Agent, request } from 'undici';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type BootAnswer, isBootAnswer, isUnknownAnswer, type UnknownAnswer } from './boots.ts';
import { isServerStatus, type ServerStatus } from './status.ts';
import { isUnproven, whoAnswers } from './stranger.ts';

export interface ControlIdentity {
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export type ControlFault = Fault<'ServerUnreachable' | 'ServerAnswerInvalid'>;

export interface AskedServer {
  /** Must be in the server's certificate: an address that another server took over is no answer. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface ControlClient {
  status(server: AskedServer): Promise<Result<ServerStatus, ControlFault>>;
  /** What it heard of these MACs, 8 at most. */
  boots(server: AskedServer, macs: readonly string[]): Promise<Result<BootAnswer, ControlFault>>;
  unknown(server: AskedServer): Promise<Result<UnknownAnswer, ControlFault>>;
  close(): Promise<void>;
}

/** A status is a few hundred KiB at most: 10,000 versions of 100 bytes. */
const MAX_STATUS_BYTES = 4 << 20;
/** To connect, and between two parts of an answer. */
const TIMEOUT_MS = 2_000;
/** The whole answer: one that comes a byte at a time is none, and the operator has other servers to ask. */
const TOTAL_MS = 5_000;
/** A stranger is asked who it is no more often. */
const STRANGER_EVERY_MS = 30_000;

/** `onDisconnect`: a connection ended, as those of a server do that was killed. */
export function controlClient(identity: ControlIdentity, onDisconnect: () => void = () => undefined): ControlClient {
  const agents = new Map<string, Agent>();
  const agentOf = (name: string): Agent => {
    const known = agents.get(name);
    if (known) return known;
    const made = new Agent({
      connect: { ca: identity.ca, cert: identity.cert, key: identity.key, servername: name, timeout: TIMEOUT_MS },
      keepAliveTimeout: 30_000,
      maxResponseSize: MAX_STATUS_BYTES,
    });
    made.on('disconnect', onDisconnect);
    agents.set(name, made);
    return made;
  };
  const strangers = new Map<string, { readonly atMs: number; readonly words: string | undefined }>();
  const stranger = async (name: string, host: string, port: number): Promise<string> => {
    const key = `${name} ${host} ${port}`;
    const known = strangers.get(key);
    const now = performance.now();
    const isFresh = known !== undefined && now - known.atMs < STRANGER_EVERY_MS;
    const found = isFresh ? known : { atMs: now, words: await whoAnswers(host, port, name) };
    strangers.set(key, found);
    return found.words === undefined ? '' : `${found.words}: `;
  };
  /** `is`: what the answer must be, and in a word. */
  const ask = async <T>(
    { name, address, port }: AskedServer,
    path: string,
    is: (body: unknown) => body is T,
    what: string,
  ): Promise<Result<T, ControlFault>> => {
    const host = address.includes(':') ? `[${address}]` : address;
    try {
      const answer = await request(`https://${host}:${port}${path}`, {
        dispatcher: agentOf(name),
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
        signal: AbortSignal.timeout(TOTAL_MS),
      });
      const body: unknown = await answer.body.json();
      return answer.statusCode === 200 && is(body)
        ? ok(body)
        : fail(
            'ServerAnswerInvalid',
            `server ${name} at ${host}:${port} answered ${answer.statusCode} without ${what}`,
          );
    } catch (error) {
      const who = isUnproven(error) ? await stranger(name, address, port) : '';
      return fail('ServerUnreachable', `server ${name} at ${host}:${port}: ${who}${errorMessage(error)}`);
    }
  };
  return {
    status: (server) => ask(server, '/v1/status', isServerStatus, 'a status'),
    boots: (server, macs) =>
      ask(server, `/v1/boots?${macs.map((mac) => `mac=${mac}`).join('&')}`, isBootAnswer, 'boot records'),
    unknown: (server) => ask(server, '/v1/boots/unknown', isUnknownAnswer, 'unknown machines'),
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
      agents.clear();
    },
  };
}
