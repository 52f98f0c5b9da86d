/** The table of routes as it is asked: each question is of somebody who is known and may ask it before it is read further. */
import type { Server as HttpsServer } from 'node:https';
import { type FastifyInstance, type FastifyServerFactory, fastify } from 'fastify';
import type { Logger } from '../telemetry/log.ts';
import { ofThrown, pathOf, refuseHead, sendProblem } from './answer.ts';
import { addRoutes, type Judge } from './ask.ts';
import { MAX_JSON_BYTES } from './limits.ts';
import { openApi, PREFIX } from './openapi.ts';
import { CSV, type Route } from './route.ts';

interface AppOptions {
  readonly routes: readonly Route[];
  readonly judge: Judge;
  readonly release: string;
  readonly log: Logger;
  readonly serverFactory: FastifyServerFactory<HttpsServer>;
}

export function makeApp({ routes, judge, release, log, serverFactory }: AppOptions): FastifyInstance<HttpsServer> {
  const app = fastify<HttpsServer>({
    serverFactory,
    bodyLimit: MAX_JSON_BYTES,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 253 },
    clientErrorHandler: refuseHead,
    frameworkErrors: (error, request, reply) => sendProblem(request, reply, ofThrown(error, log)),
  });
  // Any page of the web may send it, with the certificate of whoever looks at that page.
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser(CSV, { parseAs: 'string' }, (_request, body, done) => done(null, body));
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
  addRoutes(app, routes, judge);
  const document = JSON.stringify(openApi(routes, release));
  app.get(`${PREFIX}/openapi.json`, (_request, reply) => reply.type('application/json').send(document));
  return app;
}
