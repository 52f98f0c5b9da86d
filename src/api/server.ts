/** The API as it is served, and the console in front of it: HTTPS, with a certificate and a client CA that are looked at again. */
import { join } from 'node:path';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { type ListenFault, listen } from '../net/listen.ts';
import { BACKLOG, httpsServer } from '../net/server.ts';
import type { Logger } from '../telemetry/log.ts';
import { refusal } from './answer.ts';
import { makeApp } from './app.ts';
import { Judge } from './ask.ts';
import { publishAuthority } from './authority.ts';
import { Callers } from './caller.ts';
import { type ApiCertificate, type CertificatePlace, keepCertificate } from './certificate.ts';
import { readClientCa } from './clientca.ts';
import { readFiles, serveFile } from './console.ts';
import { Hub } from './events.ts';
import { type AccessOf, Farms, type Resources } from './farms.ts';
import { CONNECTIONS } from './limits.ts';
import { ReviewQueue } from './queue.ts';
import { Reviews } from './reviews.ts';
import { routesOf } from './routes.ts';
import type { ServersOf } from './servers.ts';

export interface ApiOptions {
  readonly address: string;
  readonly port: number;
  readonly client: Client;
  readonly resources: Resources;
  readonly accessOf: AccessOf;
  readonly serversOf: ServersOf;
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

/** The console takes silence of 4 s for a connection that is lost. */
const TIMES: ApiTimes = { lookMs: 60_000, eventsEveryMs: 250, heartbeatMs: 1_000 };

/** As `npm run build` makes it; of a checkout that was not built there is none. */
const CONSOLE = join(import.meta.dirname, '../../dist/console');

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
  const tell = newsOf(log);
  const publish = async ({ ca: authority }: ApiCertificate): Promise<void> =>
    tell(
      'authority',
      await publishAuthority(client, options.certificate, authority),
      'the ConfigMap that says whom to believe was not written',
    );
  await publish(made.value);
  const ca = await readClientCa(client);
  if (!ca.ok) log.warn({ ...ca.error }, 'nobody is known by a client certificate yet');
  let tls = tlsOf(made.value, ca.ok ? ca.value : undefined);

  const farms = new Farms(client, options.resources, options.accessOf, options.serversOf);
  const hub = new Hub({ farms, everyMs: times.eventsEveryMs, heartbeatMs: times.heartbeatMs, log });
  const queue = new ReviewQueue();
  const judge = new Judge(new Callers(client, queue), new Reviews(client, queue), farms);
  const files = await readFiles(CONSOLE);
  if (files.size === 0) log.warn({ folder: CONSOLE }, 'there is no console: npm run build makes it');
  const app = makeApp({
    routes: routesOf(hub),
    judge,
    release: options.release,
    log,
    serverFactory: (handler) =>
      httpsServer(
        (request, response) => serveFile(files, request, response) || handler(request, response),
        { ...CONNECTIONS, refusal },
        { ...tls, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' },
      ),
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
    tell('certificate', certificate, 'the certificate of the API was not looked at: the one before serves');
    if (certificate.ok) await publish(certificate.value);
    tell('client CA', authority, 'the client CA was not read: the one before is believed');
    const before = tls;
    const next = tlsOf(certificate.ok ? certificate.value : before, authority.ok ? authority.value : before.ca);
    if (next.cert === before.cert && next.ca === before.ca) return;
    app.server.setSecureContext({ ...next, minVersion: 'TLSv1.3' });
    tls = next;
    // Who was let in by an authority that is not believed any more comes again, and is judged anew.
    if (next.ca !== before.ca) app.server.closeAllConnections();
  };
  const timer = setInterval(() => {
    look().catch((thrown) =>
      log.error({ error: errorMessage(thrown) }, 'the certificate of the API was not taken up: the one before serves'),
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

/** A fault is told once, until it is another or over: the look comes again each minute. */
function newsOf(log: Logger): (of: string, found: Result<unknown, Fault>, says: string) => void {
  const said = new Map<string, string>();
  return (of, found, says) => {
    const message = found.ok ? undefined : found.error.message;
    if (message === said.get(of)) return;
    if (message === undefined) said.delete(of);
    else said.set(of, message);
    if (!found.ok) log.warn({ ...found.error }, says);
  };
}

/** No client CA: nobody's certificate is believed, rather than that of any authority that Node knows. */
const tlsOf = ({ cert, key }: Pick<ApiCertificate, 'cert' | 'key'>, ca: string | undefined) => ({
  cert,
  key,
  ca: ca ?? cert,
});
