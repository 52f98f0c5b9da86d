/** The control port of a server: HTTPS with mutual TLS, for the operator alone. */
import { readFileSync } from 'node:fs';
import type { Server as HttpsServer } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { fastify } from 'fastify';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type ListenFault, listen } from '../net/listen.ts';
import { BACKLOG, type EdgeLimits, httpsServer } from '../net/server.ts';
import { callerOf, OPERATOR_NAME } from './caller.ts';
import type { ServerStatus } from './status.ts';

export interface ControlServer {
  readonly port: number;
  close(): Promise<void>;
}

const CONNECTIONS: EdgeLimits = {
  /** Many more than an operator and its stand-by open. */
  total: 64,
  /** Of one address: both copies of the operator may come from one node. */
  each: 16,
  /** Longer than the operator keeps one, so that it is the one who closes. */
  keepAliveMs: 40_000,
  /** A hand-shake costs the main thread 2 ms, one that fails too; the operator makes one and keeps it. */
  connects: { burst: 100, perSecond: 10, keys: 1_024 },
  questions: { burst: 1_000, perSecond: 200, keys: 1_024 },
};
/** Nobody has to send us anything. */
const MAX_BODY_BYTES = 1_024;
const CERTIFICATES_READ_MS = 30_000;

export async function startControl(options: {
  readonly address: string;
  readonly port: number;
  /** tls.crt, tls.key and ca.crt; read again each 30 s, so that a rotated certificate needs no restart. */
  readonly tlsDirectory: string;
  readonly status: () => ServerStatus;
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
  const app = fastify<HttpsServer>({
    serverFactory: (handler) =>
      httpsServer(handler, CONNECTIONS, {
        ...certificates,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
      }),
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: true,
  });
  app.addHook('onRequest', async ({ socket }, reply) => {
    const certificate = (socket as TLSSocket).getPeerX509Certificate();
    if (callerOf(certificate)?.kind === 'operator') return;
    const message = `this port answers ${OPERATOR_NAME} alone, and the certificate is of ${certificate?.subjectAltName ?? 'nobody'}`;
    return reply.code(403).send({ code: 'CallerRefused', message });
  });
  app.get('/v1/status', () => options.status());
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
