/** `/healthz`, `/readyz` and `/metrics` of a role, on a port of its own that a thread of its own serves (`worker.ts`). This is the main thread's half. */
import { Worker } from 'node:worker_threads';
import type { Registry } from 'prom-client';
import { errorMessage } from '../kit/errors.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { shared } from '../kit/shared.ts';
import type { ListenFault } from '../net/listen.ts';
import { MAIN_PATIENCE_MS, WORKER_HEAP_MIB } from './limits.ts';
import type { Logger } from './log.ts';
import { LOOK_MS, type Thread } from './turns.ts';
import type { Answer, FromMain, Subject, ToMain, WorkerSettings } from './worker.ts';

/** What stands between a role and its work, in words; empty when it is ready. */
export type Readiness = () => Promise<readonly string[]> | readonly string[];

export interface TelemetryServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface TelemetryOptions {
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  readonly ready: Readiness;
  /** Threads beside the main one that must turn, asked twice a second. The same cells mean the same thread. */
  readonly threads?: () => readonly Thread[];
  readonly log: Logger;
}

/** The build renames the file. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
/** A worker that died: a moment, so that one which cannot live costs little. */
const RESTART_MS = 1_000;

export async function startTelemetry(options: TelemetryOptions): Promise<Result<TelemetryServer, ListenFault>> {
  const { host, registry, log } = options;
  const cells = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  const main: Thread = { name: 'the main thread', patienceMs: MAIN_PATIENCE_MS, cells, at: 0 };
  const answers: Readonly<Record<Subject, () => Promise<Answer>>> = {
    // One at a time, however often a late one is asked for again.
    ready: shared(() => readiness(options.ready), 0),
    metrics: async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  };
  let worker: Worker | undefined;
  let watched: readonly Thread[] = [];
  let closed = false;
  const tell = (message: FromMain): void => worker?.postMessage(message);

  const start = (port: number): Promise<Result<number, ListenFault>> =>
    new Promise((resolve) => {
      const started = new Worker(WORKER, {
        workerData: { host, port } satisfies WorkerSettings,
        resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MIB },
      });
      let bound = port;
      worker = started;
      watched = [];
      started.on('message', (message: ToMain) => {
        if (message.kind === 'ask') {
          void answered(answers[message.subject]).then((answer) => tell({ kind: 'answer', id: message.id, answer }));
        } else if (message.kind === 'listening') {
          bound = message.port;
          resolve(ok(message.port));
        } else if (message.kind === 'failed') {
          // Under `node --watch` a thread also tells which files it loads.
          void started.terminate();
          resolve({ ok: false, error: message.fault });
        }
      });
      started.on('error', (error) => log.error({ error: errorMessage(error) }, 'telemetry thread failed'));
      started.once('exit', () => {
        if (worker !== started) return;
        worker = undefined;
        resolve(fail('ListenFailed', `telemetry cannot listen on ${host}:${port}: its thread ended`));
        if (!closed && timer) setTimeout(() => void (closed || start(bound)), RESTART_MS).unref();
      });
    });

  let timer: NodeJS.Timeout | undefined;
  const first = await start(options.port);
  if (!first.ok) return first;
  timer = setInterval(() => {
    cells[0] = (cells[0] ?? 0) + 1;
    const threads = [main, ...(options.threads?.() ?? [])];
    if (threads.length === watched.length && threads.every((thread, at) => thread.cells === watched[at]?.cells)) return;
    watched = threads;
    tell({ kind: 'watch', threads });
  }, LOOK_MS).unref();
  return ok({
    port: first.value,
    close: async () => {
      closed = true;
      clearInterval(timer);
      await worker?.terminate();
    },
  });
}

async function readiness(ready: Readiness): Promise<Answer> {
  const missing = await ready();
  const body = missing.length === 0 ? 'ok\n' : `${missing.join('\n')}\n`;
  return { status: missing.length === 0 ? 200 : 503, type: 'text/plain; charset=utf-8', body };
}

/** A question that throws is an answer too: nobody waits for the deadline. */
const answered = (ask: () => Promise<Answer>): Promise<Answer> =>
  ask().catch((error: unknown) => ({
    status: 500,
    type: 'text/plain; charset=utf-8',
    body: `${errorMessage(error)}\n`,
  }));
