/** `/healthz`, `/readyz` and `/metrics` of a role, on a port of its own that serves nothing else. */
import { fastify } from 'fastify';
import type { Registry } from 'prom-client';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

/** What stands between a role and its work, in words; empty when it is ready. */
export type Readiness = () => Promise<readonly string[]> | readonly string[];

export interface TelemetryServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startTelemetry(options: {
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  readonly ready: Readiness;
}): Promise<Result<TelemetryServer, Fault<'PortTaken'>>> {
  const app = fastify({ requestTimeout: 5_000, bodyLimit: 1_024 });
  app.get('/healthz', () => 'ok\n');
  app.get('/readyz', async (_, reply) => {
    const missing = await options.ready();
    return reply.code(missing.length === 0 ? 200 : 503).send(missing.length === 0 ? 'ok\n' : `${missing.join('\n')}\n`);
  });
  app.get('/metrics', async (_, reply) =>
    reply.header('content-type', options.registry.contentType).send(await options.registry.metrics()),
  );
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await app.close();
    return fail('PortTaken', `telemetry cannot listen on ${options.host}:${options.port}: ${errorMessage(error)}`);
  }
  const address = app.server.address();
  return ok({
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () => app.close(),
  });
}
