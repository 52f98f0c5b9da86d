import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { KeyQueue } from './queue.ts';

/** Buckets of controller-runtime and of the workqueue of client-go, so that dashboards made for them fit. */
const RECONCILE_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const QUEUE_SECONDS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];

export type ReconcileResult = 'success' | 'error' | 'requeue_after';

/** The metrics of the engine, by the names that controller-runtime and client-go gave them. */
export interface EngineMetrics {
  readonly reconciled: (controller: string, result: ReconcileResult, seconds: number) => void;
  readonly panicked: (controller: string) => void;
  readonly waitsForChange: (controller: string) => void;
  readonly workers: (controller: string, active: number, max: number) => void;
  readonly added: (queue: string) => void;
  readonly retried: (queue: string) => void;
  readonly waited: (queue: string, seconds: number) => void;
  readonly worked: (queue: string, seconds: number) => void;
  /** Reads the queue's depth and its running keys at each scrape. */
  readonly observeQueue: (name: string, queue: KeyQueue, nowMs: () => number) => void;
  readonly leads: (name: string, leads: boolean) => void;
  readonly answered: (method: string, status: number) => void;
  readonly relisted: (kind: string, changes: number) => void;
}

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a table, one entry a metric
export function engineMetrics(registry: Registry): EngineMetrics {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[], collect = () => {}) =>
    new Gauge({ name, help, labelNames, registers, collect });
  const histogram = (name: string, help: string, labelNames: string[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, registers, buckets });

  const controller = ['controller'];
  const total = counter('controller_runtime_reconcile_total', 'Reconciles of objects', ['controller', 'result']);
  const errors = counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed', controller);
  const terminal = counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Reconciles that failed until something changes',
    controller,
  );
  const panics = counter('controller_runtime_reconcile_panics_total', 'Reconciles that threw', controller);
  const time = histogram(
    'controller_runtime_reconcile_time_seconds',
    'Time of a reconcile',
    controller,
    RECONCILE_SECONDS,
  );
  const max = gauge('controller_runtime_max_concurrent_reconciles', 'Workers of a controller', controller);
  const active = gauge('controller_runtime_active_workers', 'Workers that reconcile now', controller);

  const name = ['name', 'controller'];
  const adds = counter('workqueue_adds_total', 'Keys that were touched', name);
  const retries = counter('workqueue_retries_total', 'Keys that wait after a failure', name);
  const queued = histogram('workqueue_queue_duration_seconds', 'How long a key was ready', name, QUEUE_SECONDS);
  const work = histogram('workqueue_work_duration_seconds', 'How long a key was worked on', name, QUEUE_SECONDS);
  const queues = new Map<string, { readonly queue: KeyQueue; readonly nowMs: () => number }>();
  const labels = (queue: string) => ({ name: queue, controller: queue });
  const perQueue = (value: (queue: KeyQueue, nowMs: number) => number) =>
    function collect(this: Gauge): void {
      for (const [key, { queue, nowMs }] of queues) this.set(labels(key), value(queue, nowMs()));
    };
  gauge(
    'workqueue_depth',
    'Keys that are ready',
    name,
    perQueue((queue) => queue.depth()),
  );
  gauge(
    'workqueue_unfinished_work_seconds',
    'Time of all runs under way',
    name,
    perQueue((queue, now) => seconds(queue, now).reduce((sum, age) => sum + age, 0)),
  );
  gauge(
    'workqueue_longest_running_processor_seconds',
    'Time of the longest run under way',
    name,
    perQueue((queue, now) => Math.max(0, ...seconds(queue, now))),
  );

  const leader = gauge('leader_election_master_status', '1 while this process leads', ['name']);
  const requests = counter('rest_client_requests_total', 'Requests to the Kubernetes API', ['method', 'code']);
  const relists = counter('bootfarm_informer_relists_total', 'Lists after the first', ['kind']);
  const found = counter('bootfarm_informer_relist_changes_total', 'Changes that only a relist showed', ['kind']);

  return {
    reconciled: (controller, result, seconds) => {
      total.inc({ controller, result });
      if (result === 'error') errors.inc({ controller });
      time.observe({ controller }, seconds);
    },
    panicked: (controller) => panics.inc({ controller }),
    waitsForChange: (controller) => terminal.inc({ controller }),
    workers: (controller, now, most) => {
      active.set({ controller }, now);
      max.set({ controller }, most);
    },
    added: (queue) => adds.inc(labels(queue)),
    retried: (queue) => retries.inc(labels(queue)),
    waited: (queue, seconds) => queued.observe(labels(queue), seconds),
    worked: (queue, seconds) => work.observe(labels(queue), seconds),
    observeQueue: (key, queue, nowMs) => queues.set(key, { queue, nowMs }),
    leads: (name, leads) => leader.set({ name }, leads ? 1 : 0),
    answered: (method, status) => requests.inc({ method, code: status === 0 ? '<error>' : String(status) }),
    relisted: (kind, changes) => {
      relists.inc({ kind });
      found.inc({ kind }, changes);
    },
  };
}

const seconds = (queue: KeyQueue, nowMs: number): number[] =>
  queue.runningSinceMs().map((sinceMs) => (nowMs - sinceMs) / 1_000);
