/** HTTP boot: the iPXE script, the boot token, kernel and initrd. The edge: what is answered is decided in `farm` and `script.ts`. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { parseMac, parseUuid } from '../farm/address.ts';
import type { BootDecision } from '../farm/boot.ts';
import type { Endpoint } from '../farm/model.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import { bootConfig, CONFIG_PATH } from './config.ts';
import { cpio } from './cpio.ts';
import {
  IDLE_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MAX_BODY_BYTES,
  MAX_CONNECTIONS,
  MAX_URL_CHARACTERS,
  REQUEST_TIMEOUT_MS,
} from './limits.ts';
import { parseRange } from './range.ts';
import { deviceScript, entryScript, localDiskScript, messageScript, unknownMessage } from './script.ts';

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
  /** What this machine is told; a fault when the data is not there now, and the machine asks again. */
  readonly decide: (machine: Machine) => Promise<Result<BootDecision, Fault>>;
  /** The sealed boot token of a decision. */
  readonly token: (boot: Extract<BootDecision, { kind: 'boot' }>, mac: string) => Uint8Array;
  /** HTTP endpoints of the site, this server first. */
  readonly servers: () => readonly Endpoint[];
  /** Path of a kernel or initrd whose copy is UpToDate here; undefined for everything else. */
  readonly file: (vdisk: string, version: number, name: string) => string | undefined;
  readonly onEvent: (event: HttpBootEvent) => void;
  readonly log: Logger;
}

export type HttpBootEvent =
  | { readonly kind: 'script'; readonly mac: string; readonly answer: BootDecision['kind'] | 'unavailable' }
  | { readonly kind: 'config'; readonly mac: string }
  | { readonly kind: 'file'; readonly name: string; readonly bytes: number };

export interface HttpBoot {
  readonly port: number;
  close(): Promise<void>;
}

export async function startHttpBoot(options: HttpBootOptions): Promise<Result<HttpBoot, Fault<'PortTaken'>>> {
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: IDLE_TIMEOUT_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_URL_CHARACTERS },
  });
  app.server.maxConnections = MAX_CONNECTIONS;

  app.get('/boot', async (request, reply) => {
    const machine = machineOf(request);
    const text = machine ? await scriptFor(options, machine) : entryScript(options.servers());
    return reply.type('text/plain; charset=utf-8').send(text);
  });

  const config = async (request: FastifyRequest, reply: FastifyReply, pack: (text: string) => string | Buffer) => {
    const machine = machineOf(request);
    if (!machine) return reply.code(400).send('mac is missing or is no MAC: ask /boot/config?mac=aa:bb:cc:dd:ee:ff\n');
    const decided = await options.decide(machine);
    if (!decided.ok) return reply.code(503).send(`${decided.error.message}\n`);
    if (decided.value.kind === 'unknown') return reply.code(404).send(`${unknownMessage(machine.mac, machine.uuid)}\n`);
    if (decided.value.kind === 'refused') return reply.code(403).send(`${decided.value.message}\n`);
    options.onEvent({ kind: 'config', mac: machine.mac });
    const text = bootConfig(decided.value, machine.mac, options.token(decided.value, machine.mac));
    return reply.type('application/octet-stream').send(pack(text));
  };
  app.get('/boot/config', (request, reply) => config(request, reply, (text) => text));
  app.get('/boot/config.cpio', (request, reply) =>
    config(request, reply, (text) => cpio(CONFIG_PATH, Buffer.from(text))),
  );

  app.get<{ Params: { vdisk: string; version: string; name: string } }>(
    '/boot/file/:vdisk/:version/:name',
    async (request, reply) => {
      const { vdisk, version, name } = request.params;
      const path = options.file(vdisk, Number(version), name);
      if (!path)
        return reply.code(404).send(`this server has no UpToDate copy of ${name} of ${vdisk} version ${version}\n`);
      return sendFile(request, reply, path, (bytes) => options.onEvent({ kind: 'file', name, bytes }));
    },
  );

  try {
    await app.listen({ host: options.address, port: options.port });
  } catch (error) {
    await app.close();
    return fail(
      'PortTaken',
      `HTTP boot cannot listen on TCP ${options.address}:${options.port}: ${errorMessage(error)}`,
    );
  }
  const address = app.server.address();
  return ok({
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () => app.close(),
  });
}

function machineOf(request: FastifyRequest): Machine | undefined {
  const query = new URL(request.url, 'http://boot').searchParams;
  const mac = parseMac(query.get('mac') ?? '');
  const uuid = parseUuid(query.get('uuid') ?? '');
  return mac === undefined ? undefined : { mac, address: request.ip, ...(uuid === undefined ? {} : { uuid }) };
}

async function scriptFor(options: HttpBootOptions, machine: Machine): Promise<string> {
  const servers = options.servers();
  const { mac, uuid } = machine;
  const decided = await options.decide(machine);
  options.onEvent({ kind: 'script', mac, answer: decided.ok ? decided.value.kind : 'unavailable' });
  if (!decided.ok) return messageScript(decided.error.message, servers);
  const decision = decided.value;
  if (decision.kind === 'boot') return deviceScript(decision, servers);
  if (decision.kind === 'refused') return messageScript(decision.message, servers);
  return decision.action === 'LocalDisk' ? localDiskScript() : messageScript(unknownMessage(mac, uuid), servers);
}

async function sendFile(request: FastifyRequest, reply: FastifyReply, path: string, sent: (bytes: number) => void) {
  const { size } = await stat(path);
  const range = parseRange(request.headers.range, size);
  if (range === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${size}`).send();
  reply.type('application/octet-stream').header('accept-ranges', 'bytes');
  const { start, end } = range === 'whole' ? { start: 0, end: size - 1 } : range;
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${start}-${end}/${size}`);
  reply.header('content-length', end - start + 1);
  sent(end - start + 1);
  if (size === 0) return reply.send('');
  return reply.send(createReadStream(path, { start, end, highWaterMark: 256 << 10 }));
}
