/** `bootfarm operator`: makes the farms of a cluster what their resources say. */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Api } from '../api/server.ts';
import { kubeConfigOfProcess } from '../kube/config.ts';
import { engineMetrics } from '../kube/metrics.ts';
import { resourceMetrics } from '../reconcile/metrics.ts';
import { BootfarmOperator } from '../reconcile/operator.ts';
import { startTelemetry } from '../telemetry/health.ts';
import { createLogger, type Logger, type LogLevel } from '../telemetry/log.ts';
import { processMetrics, RELEASE } from '../telemetry/process.ts';
import { gatherLittle } from './heap.ts';

interface Flags {
  readonly namespaces: readonly string[];
  readonly image: string;
  readonly release: string;
  readonly allowedHostPaths: readonly string[];
  readonly allowedImages: readonly string[];
  readonly priorityClass?: string;
  readonly leaderElect: boolean;
  readonly leaseNamespace: string;
  readonly metricsPort: number;
  readonly apiPort?: number;
  readonly apiService: string;
  readonly logLevel: LogLevel;
}

const list = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError(`${text} is no port: 0 to 65535`);
  return port;
}

export function operatorCommand(): Command {
  const env = process.env;
  return new Command('operator')
    .description('run the operator: makes the farms of a cluster what their resources say')
    .option('--namespaces <names>', 'watch these namespaces alone, comma-separated; absent: all', list, [])
    .requiredOption('--image <reference>', 'image of servers, databases and replicas', env['BOOTFARM_IMAGE'])
    .option('--release <name>', 'release that servers tell', RELEASE)
    .option('--allowed-host-paths <paths>', 'folders of a node that resources may name, comma-separated', list, [
      '/srv',
      '/var/lib/bootfarm',
    ])
    .option(
      '--allowed-images <prefixes>',
      'beginnings of image names that resources may name, comma-separated',
      list,
      [],
    )
    .option('--priority-class <name>', 'priority class of servers, databases and replicas whose resource names none')
    .option('--no-leader-elect', 'do not elect a leader: this is the only copy')
    .option('--lease-namespace <name>', 'namespace of the Lease', env['POD_NAMESPACE'] ?? 'default')
    .option('--metrics-port <port>', 'port of /metrics, /healthz and /readyz', portNumber, 8080)
    .option('--api-port <port>', 'port of the API, HTTPS; absent: none', portNumber)
    .option('--api-service <name>', 'Service of the API: its certificate has this name', 'bootfarm-api')
    .addOption(new Option('--log-level <level>').choices(['debug', 'info', 'warn', 'error']).default('info'))
    .action((flags: Flags) => run(flags));
}

function refuse(message: string): void {
  process.stderr.write(`bootfarm operator: ${message}\n`);
  process.exitCode = 1;
}

async function run(flags: Flags): Promise<void> {
  gatherLittle();
  const kubeConfig = kubeConfigOfProcess();
  if (!kubeConfig.ok) return refuse(kubeConfig.error.message);
  const log = createLogger(flags.logLevel, { role: 'operator' });
  const registry = processMetrics('operator');
  const identity = process.env['POD_NAME'] ?? `${hostname()}-${process.pid}`;
  const operator = new BootfarmOperator({
    kubeConfig: kubeConfig.value,
    logger: log,
    metrics: engineMetrics(registry),
    resourceMetrics: resourceMetrics(registry),
    ...(flags.leaderElect ? { lease: { namespace: flags.leaseNamespace, name: 'bootfarm-operator', identity } } : {}),
    namespaces: [...new Set(flags.namespaces)],
    instance: identity,
    settings: {
      image: flags.image,
      release: flags.release,
      allowedHostPaths: flags.allowedHostPaths,
      allowedImages: flags.allowedImages,
      ...(flags.priorityClass === undefined ? {} : { priorityClassName: flags.priorityClass }),
    },
  });
  let synced = false;
  const telemetry = await startTelemetry({
    host: '0.0.0.0',
    port: flags.metricsPort,
    registry,
    ready: () => (synced ? [] : ['the caches of the Kubernetes API are not filled yet']),
    log,
  });
  if (!telemetry.ok) return refuse(telemetry.error.message);
  let api: Api | undefined;
  const stop = new AbortController();
  const leave = (): void => {
    stop.abort();
    void Promise.all([api?.close(), operator.close()]).then(() => process.exit(0));
  };
  process.once('SIGTERM', leave).once('SIGINT', leave);
  await operator.start();
  synced = await operator.synced;
  if (synced && flags.apiPort !== undefined) api = await serveApi(operator, flags, flags.apiPort, log, stop.signal);
  log.info({ namespaces: flags.namespaces.join(' ') || 'all' }, 'operator started');
}

const API_RETRY_MS = 5_000;

/** Farms do not wait for it: what keeps it from serving is said in the log, and it is tried again. Undefined: the operator ends. */
async function serveApi(
  operator: BootfarmOperator,
  { apiService: service, leaseNamespace: namespace, release }: Flags,
  port: number,
  log: Logger,
  signal: AbortSignal,
): Promise<Api | undefined> {
  // By need: whoever asks for --help waits for nothing.
  const { startApi } = await import('../api/server.ts');
  for (let said = ''; !signal.aborted; ) {
    const api = await startApi({
      ...operator.seen,
      address: '0.0.0.0',
      port,
      certificate: { namespace, service },
      release,
      log,
    }).catch((thrown) => ({ ok: false, error: { code: 'Broken', message: `the API threw: ${thrown}` } }) as const);
    if (api.ok) {
      log.info({ port: api.value.port }, 'the API serves');
      return api.value;
    }
    if (said !== api.error.message) log.warn({ ...api.error }, 'the API does not serve yet');
    said = api.error.message;
    await delay(API_RETRY_MS, undefined, { signal }).catch(() => {});
  }
  return undefined;
}
