/** The API as it is served: HTTPS, and a table of routes. Each question is of somebody who is known and may ask it before it is read further. */
import type { Server as HttpsServer } from 'node:https';
import { fastify } from 'fastify';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { type ListenFault, listen } from '../net/listen.ts';
import { BACKLOG, httpsServer } from '../net/server.ts';
import type { Logger } from '../telemetry/log.ts';
import { ofThrown, pathOf, sendProblem } from './answer.ts';
import { addRoute, Judge } from './ask.ts';
import { Callers } from './caller.ts';
import { type ApiCertificate, type CertificatePlace, keepCertificate } from './certificate.ts';
import { readClientCa } from './clientca.ts';
import { Hub } from './events.ts';
import { type AccessOf, Farms, type Resources } from './farms.ts';
import { CONNECTIONS, MAX_CSV_BYTES, MAX_JSON_BYTES } from './limits.ts';
import { openApi, PREFIX } from './openapi.ts';
import { Reviews } from './reviews.ts';
import { CSV } from './route.ts';
import { routesOf } from './routes.ts';

export interface ApiOptions {
  readonly address: string;
  readonly port: number;
  readonly client: Client;
  readonly resources: Resources;
  readonly accessOf: AccessOf;
  readonly certificate: CertificatePlace;
  readonly release: string;
  readonly log: Logger;
  readonly times?: Partial<ApiTimes>;
}

interface ApiTimes {
  /** How often certificate and client CA are looked at. */
  readonly lookMs: number;
  readonly eventsEveryMs: number;
  readonly heartbeatMs: number;
}

const TIMES: ApiTimes = { lookMs: 60_000, eventsEveryMs: 250, heartbeatMs: 10_000 };

export interface Api {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves once its certificate is there: whoever may not write it is told why. */
export async function startApi(options: ApiOptions): Promise<Result<Api, ListenFault | Fault>> {
  const { client, log, address: host, port } = options;
  const times = { ...TIMES, ...options.times };
  const made = await keepCertificate(client, options.certificate);
  if (!made.ok) return made;
  const ca = await readClientCa(client);
  if (!ca.ok) log.warn({ ...ca.error }, 'nobody is known by a client certificate yet');
  let tls = tlsOf(made.value, ca.ok ? ca.value : undefined);

  const farms = new Farms(options.resources, options.accessOf);
  const hub = new Hub({ everyMs: times.eventsEveryMs, heartbeatMs: times.heartbeatMs, log });
  const app = fastify<HttpsServer>({
    serverFactory: (handler) =>
      httpsServer(handler, CONNECTIONS, {
        ...tls,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
      }),
    bodyLimit: MAX_JSON_BYTES,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 253 },
  });
  app.addContentTypeParser(CSV, { parseAs: 'string', bodyLimit: MAX_CSV_BYTES }, (_request, body, done) =>
    done(null, body),
  );
  app.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'ignore'),
  );
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, ofThrown(error, log)));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(request, reply, {
      code: 'NotFound',
      message: `${request.method} ${pathOf(request)} is no question of this API: ${PREFIX}/openapi.json has all`,
    }),
  );
  const routes = routesOf(hub);
  const judge = new Judge(new Callers(client), new Reviews(client), farms);
  for (const route of routes) addRoute(app, route, judge);
  const document = JSON.stringify(openApi(routes, options.release));
  app.get(`${PREFIX}/openapi.json`, async (request, reply) => {
    const caller = await judge.caller(request);
    return caller.ok ? reply.type('application/json').send(document) : sendProblem(request, reply, caller.error);
  });

  const instead = 'choose another api.port of the chart';
  const listening = await listen({ protocol: 'TCP', address: host, port, instead }, () =>
    app.listen({ host, port, backlog: BACKLOG }),
  );
  if (!listening.ok) {
    await app.close();
    return listening;
  }
  const look = async (): Promise<void> => {
    const [certificate, authority] = await Promise.all([
      keepCertificate(client, options.certificate),
      readClientCa(client),
    ]);
    // What cannot be read stays as it was.
    const before = tls;
    const next = tlsOf(certificate.ok ? certificate.value : before, authority.ok ? authority.value : before.ca);
    if (next.cert === before.cert && next.ca === before.ca) return;
    tls = next;
    app.server.setSecureContext({ ...next, minVersion: 'TLSv1.3' });
  };
  const timer = setInterval(() => {
    look().catch((thrown) =>
      log.error({ error: errorMessage(thrown) }, 'the certificate of the API was not looked at'),
    );
  }, times.lookMs).unref();
  const bound = app.server.address();
  return ok({
    port: typeof bound === 'object' && bound ? bound.port : port,
    async close() {
      clearInterval(timer);
      hub.close();
      await app.close();
      await farms.close();
    },
  });
}

/** No client CA: nobody's certificate is believed, rather than that of any authority that Node knows. */
const tlsOf = ({ cert, key }: Pick<ApiCertificate, 'cert' | 'key'>, ca: string | undefined) => ({
  cert,
  key,
  ca: ca ?? cert,
});
