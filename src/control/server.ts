/** The control port of a server: HTTPS with mutual TLS. The operator asks how it is, other servers ask for files, and nobody asks anything else. */
import { readFileSync } from 'node:fs';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { fastify, type onRequestAsyncHookHandler } from 'fastify';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type ListenFault, listen } from '../net/listen.ts';
import { BACKLOG, type EdgeLimits, httpsServer, type PlaceLimits, type Prover } from '../net/server.ts';
import type { Holdings } from '../transfer/holdings.ts';
import { addTransferRoutes, type GiveLimits } from '../transfer/routes.ts';
import { MAX_RUNS_CHARACTERS } from '../transfer/wire.ts';
import { askedMacs, type BootAnswer, type UnknownAnswer } from './boots.ts';
import { type Caller, callerOf, OPERATOR_NAME, SERVER_NAME } from './caller.ts';
import type { ServerStatus } from './status.ts';

/** What the server heard of machines that boot. */
export interface BootSource {
  records(macs: readonly string[]): BootAnswer;
  unknown(): UnknownAnswer;
}

export interface ControlServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Of those that did not prove yet who they are. */
const CONNECTIONS: EdgeLimits = {
  /** As when a server starts again, and all others come at once. */
  total: 256,
  /** Of one address: a server that asks, and both copies of the operator, may come from one node. */
  each: 48,
  /** Longer than the operator keeps one, so that it is the one who closes. */
  keepAliveMs: 40_000,
  /** A hand-shake costs the main thread 2 ms, one that fails too; the operator makes one and keeps it. */
  connects: { burst: 100, perSecond: 10, keys: 1_024 },
  /** At most 40 % of it. Sixty-four sources that come at once have had a turn each after 320 ms: the operator waits for 2 s. */
  handshakeEveryMs: 5,
  questions: { burst: 1_000, perSecond: 200, keys: 1_024 },
};
/** Many more than an operator and its stand-by open. Nobody else takes these places, so it always has one. */
const OPERATORS: PlaceLimits = { total: 16, each: 16, questions: { burst: 1_000, perSecond: 200, keys: 1 } };
/** One that pulls opens four a file to each of the others; its questions are for 1 MiB. */
const SERVERS: PlaceLimits = { total: 512, each: 16, questions: { burst: 4_000, perSecond: 2_000, keys: 128 } };
/** Nobody has to send us anything. */
const MAX_BODY_BYTES = 1_024;
const CERTIFICATES_READ_MS = 30_000;
const NAMES: Readonly<Record<Caller['kind'], string>> = { operator: OPERATOR_NAME, server: SERVER_NAME };

export async function startControl(options: {
  readonly address: string;
  readonly port: number;
  /** tls.crt, tls.key and ca.crt; read again each 30 s, so that a rotated certificate needs no restart. */
  readonly tlsDirectory: string;
  readonly status: () => ServerStatus;
  readonly holdings: Holdings;
  readonly boots: BootSource;
  /** Asked for at each answer. */
  readonly giveLimits?: () => Partial<GiveLimits>;
}): Promise<Result<ControlServer, ListenFault | Fault<'CertificateInvalid'>>> {
  const read = () => {
    const file = (name: string): string => readFileSync(join(options.tlsDirectory, name), 'utf8');
    return { cert: file('tls.crt'), key: file('tls.key'), ca: file('ca.crt') };
  };
  let certificates: ReturnType<typeof read>;
  try {
    certificates = read();
  } catch (error) {
    return fail(
      'CertificateInvalid',
      `cannot read the control certificate in ${options.tlsDirectory}: ${errorMessage(error)}`,
    );
  }
  const callers = new WeakMap<Socket, Caller>();
  const prove: Prover = (socket) => {
    const caller = callerOf(socket.getPeerX509Certificate());
    if (!caller) return undefined;
    callers.set(socket, caller);
    return caller.kind === 'operator'
      ? { source: OPERATOR_NAME, place: OPERATORS }
      : { source: caller.node, place: SERVERS };
  };
  const app = fastify<HttpsServer>({
    serverFactory: (handler) =>
      httpsServer(
        handler,
        CONNECTIONS,
        { ...certificates, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
        prove,
      ),
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_RUNS_CHARACTERS },
    forceCloseConnections: true,
  });
  const only =
    (...kinds: readonly Caller['kind'][]): onRequestAsyncHookHandler =>
    async ({ socket }, reply) => {
      const caller = callers.get(socket);
      if (caller && kinds.includes(caller.kind)) return;
      const message = `this is for ${kinds.map((kind) => NAMES[kind]).join(' and ')} alone, and the certificate is of ${caller ? NAMES[caller.kind] : 'nobody who may ask'}`;
      await reply.code(403).send({ code: 'CallerRefused', message });
    };
  app.addHook('onRequest', only('operator', 'server'));
  app.get('/v1/status', { onRequest: only('operator') }, () => options.status());
  app.get('/v1/boots', { onRequest: only('operator') }, async ({ url }, reply) => {
    const macs = askedMacs(new URLSearchParams(url.split('?', 2)[1]));
    return macs.ok ? options.boots.records(macs.value) : reply.code(400).send(macs.error);
  });
  app.get('/v1/boots/unknown', { onRequest: only('operator') }, () => options.boots.unknown());
  app.register(async (files) => {
    files.addHook('onRequest', only('server'));
    addTransferRoutes(files, options.holdings, options.giveLimits);
  });
  const { address: host, port } = options;
  const instead = 'choose another ports.control of the StreamingServer';
  const listening = await listen({ protocol: 'TCP', address: host, port, instead }, () =>
    app.listen({ host, port, backlog: BACKLOG }),
  );
  if (!listening.ok) {
    await app.close();
    return listening;
  }
  const timer = setInterval(() => {
    try {
      const newer = read();
      if (newer.cert === certificates.cert && newer.ca === certificates.ca) return;
      app.server.setSecureContext({ ...newer, minVersion: 'TLSv1.3' });
      certificates = newer;
    } catch {
      // the kubelet swaps the folder: the next look finds it whole
    }
  }, CERTIFICATES_READ_MS);
  const address = app.server.address();
  return ok({
    port: typeof address === 'object' && address ? address.port : port,
    close: () => {
      clearInterval(timer);
      return app.close();
    },
  });
}
