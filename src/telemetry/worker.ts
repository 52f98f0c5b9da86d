/**
 * The thread that owns the telemetry port. `/healthz` it answers by itself, from the threads' cells: the main thread, however busy, is not asked.
 * `/readyz` and `/metrics` it asks of the main thread, once for all who ask, with a deadline.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { shared } from '../kit/shared.ts';
import { type ListenFault, listen } from '../net/listen.ts';
import { BACKLOG, httpServer } from '../net/server.ts';
import { CONNECTIONS, METRICS_DEADLINE_MS, METRICS_FRESH_MS, READY_DEADLINE_MS, READY_FRESH_MS } from './limits.ts';
import { isStuck, LOOK_MS, looked, type Thread, type Turn } from './turns.ts';

export interface WorkerSettings {
  readonly host: string;
  readonly port: number;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export type Subject = 'ready' | 'metrics';
export type FromMain =
  | { readonly kind: 'watch'; readonly threads: readonly Thread[] }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer };
export type ToMain =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly fault: ListenFault }
  | { readonly kind: 'ask'; readonly id: number; readonly subject: Subject };

const plain = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body });

async function serve(main: MessagePort, { host, port }: WorkerSettings): Promise<void> {
  const tell = (message: ToMain): void => main.postMessage(message);
  let threads: readonly Thread[] = [];
  let turns: readonly (Turn | undefined)[] = [];
  const waiting = new Map<number, (answer: Answer) => void>();
  let asked = 0;

  main.on('message', (message: FromMain) => {
    if (message.kind === 'answer') return waiting.get(message.id)?.(message.answer);
    threads = message.threads;
    turns = [];
  });

  let lookedAt = performance.now();
  setInterval(() => {
    const elapsed = performance.now() - lookedAt;
    lookedAt += elapsed;
    turns = threads.map(({ cells, at }, index) => looked(turns[index], cells[at] ?? 0, elapsed));
  }, LOOK_MS);

  const ask = async (subject: Subject, deadlineMs: number): Promise<Answer> => {
    const id = ++asked;
    const answer = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    const late = new Promise<Answer>((resolve) =>
      setTimeout(() => resolve(plain(503, `the main thread did not answer within ${deadlineMs} ms\n`)), deadlineMs),
    );
    tell({ kind: 'ask', id, subject });
    return Promise.race([answer, late]).finally(() => waiting.delete(id));
  };
  const ready = shared(() => ask('ready', READY_DEADLINE_MS), READY_FRESH_MS);
  const metrics = shared(() => ask('metrics', METRICS_DEADLINE_MS), METRICS_FRESH_MS);
  const health = async (): Promise<Answer> => {
    const stuck = threads.filter((thread, index) => isStuck(thread, turns[index])).map(({ name }) => name);
    return stuck.length === 0 ? plain(200, 'ok\n') : plain(503, `no turn of ${stuck.join(', ')}\n`);
  };
  const paths: Readonly<Record<string, () => Promise<Answer>>> = {
    '/healthz': health,
    '/readyz': ready,
    '/metrics': metrics,
  };

  const server = httpServer(async ({ method, url = '' }: IncomingMessage, response: ServerResponse) => {
    const path = method === 'GET' ? paths[url.split('?', 1)[0] ?? ''] : undefined;
    const { status, type, body } = path ? await path() : plain(404, `there are ${Object.keys(paths).join(', ')}\n`);
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
  }, CONNECTIONS);
  const listening = await listen({ protocol: 'TCP', address: host, port, instead: INSTEAD }, async () => {
    server.listen(port, host, BACKLOG);
    await once(server, 'listening');
  });
  if (!listening.ok) return tell({ kind: 'failed', fault: listening.error });
  const address = server.address();
  tell({ kind: 'listening', port: typeof address === 'object' && address ? address.port : port });
}

/** An operator and a server have one. */
const INSTEAD = 'choose another port for telemetry';

if (parentPort) await serve(parentPort, workerData);
