/** HTTP boot: the iPXE script, the boot token, kernel and initrd. The edge: what is answered is decided in `farm` and `script.ts`. */
import type { ServerResponse } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { parseMac, parseUuid } from '../farm/address.ts';
import type { BootDecision } from '../farm/boot.ts';
import { type AskedFile, mayFetch } from '../farm/fetch.ts';
import type { Endpoint } from '../farm/model.ts';
import { Budget } from '../kit/budget.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { allowFragmentsOf } from '../net/fragments.ts';
import { type ListenFault, listen } from '../net/listen.ts';
import { BACKLOG, httpServer } from '../net/server.ts';
import type { Logger } from '../telemetry/log.ts';
import { paced } from '../telemetry/paced.ts';
import { bootConfig, CONFIG_PATH } from './config.ts';
import { cpio } from './cpio.ts';
import { sendFile } from './file.ts';
import { ANSWERS_TO_NOBODY, CONNECTIONS, MAX_BODY_BYTES, MAX_URL_CHARACTERS } from './limits.ts';
import { deviceScript, entryScript, localDiskScript, messageScript, noMacMessage, unknownMessage } from './script.ts';

export interface Machine {
  /** `aa:bb:cc:dd:ee:ff` */
  readonly mac: string;
  /** Lower case; absent when the firmware gives none. */
  readonly uuid?: string;
  /** Where its question came from. */
  readonly address?: string;
}

export interface HttpBootOptions {
  readonly address: string;
  readonly port: number;
  /** What this machine is told; a fault when the data is not there now, and the machine asks again. May add the machine to the farm. */
  readonly decide: (machine: Machine) => Promise<Result<BootDecision, Fault>>;
  /** The same, and adds nothing. */
  readonly lookUp: (machine: Machine) => Promise<Result<BootDecision, Fault>>;
  /** The sealed boot token of a decision. */
  readonly token: (boot: Extract<BootDecision, { kind: 'boot' }>, mac: string) => Uint8Array;
  /** Where that device may log in: IPv4 addresses, 20 at most. */
  readonly loginServers: (boot: Extract<BootDecision, { kind: 'boot' }>) => Promise<readonly Endpoint[]>;
  /** HTTP endpoints of the site, this server first. */
  readonly servers: () => readonly Endpoint[];
  /** Path of a file of a version whose copy is UpToDate here. Asked only for what the machine may fetch. */
  readonly file: (vdisk: string, version: number, name: string) => string | undefined;
  readonly onEvent: (event: HttpBootEvent) => void;
  readonly log: Logger;
  /** Milliseconds, never going back. */
  readonly now?: () => number;
}

export type HttpBootEvent = { readonly machine: Machine } & (
  | { readonly kind: 'script' | 'config'; readonly decided: Result<BootDecision, Fault> }
  /** A machine that the farm does not know, where the site says Ignore, or beyond what is spent on such: the connection ended without a word. */
  | { readonly kind: 'silent'; readonly decided: Result<BootDecision, Fault> }
  /** A file begins to leave. */
  | { readonly kind: 'file'; readonly name: string; readonly bytes: number }
  /** Not there, or not for this machine. */
  | {
      readonly kind: 'noFile';
      readonly name: string;
      readonly decided: Result<BootDecision, Fault>;
    }
);

export interface HttpBoot {
  readonly port: number;
  /** Answers that machines have not taken whole yet. */
  readonly transfers: number;
  close(): Promise<void>;
}

export async function startHttpBoot(options: HttpBootOptions): Promise<Result<HttpBoot, ListenFault>> {
  const app = makeApp(options);
  const answering = new Set<ServerResponse>();
  app.addHook('onRequest', async (_, { raw }) => {
    answering.add(raw);
    raw.once('close', () => answering.delete(raw));
  });
  const { address: host, port } = options;
  const instead = 'choose another boot.http.port of the Farm';
  const listening = await listen({ protocol: 'TCP', address: host, port, instead }, () =>
    app.listen({ host, port, backlog: BACKLOG }),
  );
  if (!listening.ok) {
    await app.close();
    return listening;
  }
  allowFragmentsOf(app.server);
  const address = app.server.address();
  return ok({
    port: typeof address === 'object' && address ? address.port : port,
    get transfers() {
      return answering.size;
    },
    close: () => app.close(),
  });
}

function makeApp(options: HttpBootOptions): FastifyInstance {
  const app = fastify({
    serverFactory: (handler) => httpServer(handler, CONNECTIONS),
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: true,
    // HEAD of a file would read it to the end, and nobody asks it.
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: MAX_URL_CHARACTERS },
  });
  const failed = paced((fields, message) => options.log.error(fields, message), 'HTTP boot: an answer failed');
  app.setErrorHandler(async (error, _request, reply) => {
    const status = clientError(error);
    if (status === undefined) failed({ error: errorMessage(error) });
    await reply.code(status ?? 500).send(`${status === undefined ? 'internal error' : errorMessage(error)}\n`);
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send('no such path: see /boot\n'));
  app.addHook('onRequest', async (request, reply) => {
    const characters = request.url.length;
    if (characters <= MAX_URL_CHARACTERS) return;
    await reply.code(414).send(`the URL has ${characters} characters, more than ${MAX_URL_CHARACTERS}\n`);
  });
  const nobodys = new Budget(ANSWERS_TO_NOBODY);
  app.get('/boot', (request, reply) => sendScript(options, nobodys, request, reply));
  app.get('/boot/config', (request, reply) => sendConfig(options, request, reply, (text) => text));
  app.get('/boot/config.cpio', (request, reply) =>
    sendConfig(options, request, reply, (text) => cpio(CONFIG_PATH, Buffer.from(text))),
  );
  app.get<{ Params: AskedFile }>('/boot/file/:vdisk/:version/:name', (request, reply) =>
    sendBootFile(options, request, reply, request.params),
  );
  return app;
}

async function sendScript(options: HttpBootOptions, nobodys: Budget, request: FastifyRequest, reply: FastifyReply) {
  const servers = options.servers();
  reply.type('text/plain; charset=utf-8');
  const machine = machineOf(request);
  if (!machine) {
    const asked = queryOf(request).get('mac');
    return reply.send(asked === null ? entryScript(servers) : messageScript(noMacMessage(asked), servers));
  }
  const decided = await options.decide(machine);
  const isOurs = decided.ok && decided.value.kind !== 'unknown';
  if (isIgnored(decided)) return silence(options, machine, decided, reply);
  if (!isOurs && !nobodys.spend('', options.now?.() ?? performance.now()))
    return silence(options, machine, decided, reply);
  options.onEvent({ kind: 'script', machine, decided });
  const { mac } = machine;
  return reply.send(
    decided.ok ? scriptOf(decided.value, machine, servers) : messageScript(decided.error.message, servers, mac),
  );
}

function scriptOf(decision: BootDecision, { mac, uuid }: Machine, servers: readonly Endpoint[]): string {
  if (decision.kind === 'boot') return deviceScript(decision, servers);
  if (decision.kind === 'refused') return messageScript(decision.message, servers, mac);
  return decision.action === 'LocalDisk' ? localDiskScript() : messageScript(unknownMessage(mac, uuid), servers, mac);
}

async function sendConfig(
  options: HttpBootOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  pack: (text: string) => string | Buffer,
) {
  const machine = machineOf(request);
  if (!machine) return reply.code(400).send('mac is missing or is no MAC: ask /boot/config?mac=aa:bb:cc:dd:ee:ff\n');
  const decided = await options.decide(machine);
  if (isIgnored(decided)) return silence(options, machine, decided, reply);
  options.onEvent({ kind: 'config', machine, decided });
  if (!decided.ok) return reply.code(503).send(`${decided.error.message}\n`);
  if (decided.value.kind === 'unknown') return reply.code(404).send(`${unknownMessage(machine.mac, machine.uuid)}\n`);
  if (decided.value.kind === 'refused') return reply.code(403).send(`${decided.value.message}\n`);
  const token = options.token(decided.value, machine.mac);
  const stream = await options.loginServers(decided.value);
  const text = bootConfig(decided.value, machine, token, { stream, http: options.servers() });
  return reply.type('application/octet-stream').send(pack(text));
}

/** What a machine may not have and what is not there get the same words: nobody learns here what there is. */
async function sendBootFile(options: HttpBootOptions, request: FastifyRequest, reply: FastifyReply, asked: AskedFile) {
  const machine = machineOf(request);
  if (!machine) return reply.code(404).send(NO_FILE);
  const decided = await options.lookUp(machine);
  const { vdisk, version, name } = asked;
  if (isIgnored(decided)) return silence(options, machine, decided, reply);
  const path = decided.ok && mayFetch(decided.value, asked) && options.file(vdisk, Number(version), name);
  const told = (bytes: number): void => options.onEvent({ kind: 'file', machine, name, bytes });
  if (path && (await sendFile(request, reply, path, told))) return reply;
  options.onEvent({ kind: 'noFile', machine, name, decided });
  return decided.ok ? reply.code(404).send(NO_FILE) : reply.code(503).send(`${decided.error.message}\n`);
}

const NO_FILE = 'no such file for this machine here: its script names those it may fetch, /boot?mac=MAC\n';

const isIgnored = (decided: Result<BootDecision, Fault>): boolean =>
  decided.ok && decided.value.kind === 'unknown' && decided.value.action === 'Ignore';

/** Ends the connection without an answer. */
function silence(
  options: HttpBootOptions,
  machine: Machine,
  decided: Result<BootDecision, Fault>,
  reply: FastifyReply,
): FastifyReply {
  options.onEvent({ kind: 'silent', machine, decided });
  reply.hijack();
  reply.raw.socket?.destroy();
  return reply;
}

/** The 4xx of a question that fastify itself refused. */
function clientError(error: unknown): number | undefined {
  const code = typeof error === 'object' && error !== null && 'statusCode' in error ? Number(error.statusCode) : 0;
  return code >= 400 && code < 500 ? code : undefined;
}

const queryOf = ({ url }: FastifyRequest): URLSearchParams => new URLSearchParams(url.split('?', 2)[1]);

function machineOf(request: FastifyRequest): Machine | undefined {
  const query = queryOf(request);
  const mac = parseMac(query.get('mac') ?? '');
  const uuid = parseUuid(query.get('uuid') ?? '');
  return mac === undefined ? undefined : { mac, address: request.ip, ...(uuid === undefined ? {} : { uuid }) };
}
