/** `docs/metrics.md`, made from the metrics that each role registers, and the table that processes, alerts and dashboards are held against. */

import type { Registry } from 'prom-client';
import { engineMetrics } from '../../src/kube/metrics.ts';
import { resourceMetrics } from '../../src/reconcile/metrics.ts';
import { TYPES } from '../../src/resources/conditions.ts';
import { KINDS } from '../../src/resources/kinds.ts';
import { SERVER_STATES } from '../../src/resources/streamingserver.ts';
import { COPY_STATES } from '../../src/resources/vdisk.ts';
import { serverMetrics } from '../../src/server/metrics.ts';
import { STORE_STATES } from '../../src/server/surroundings.ts';
import { processMetrics } from '../../src/telemetry/process.ts';
import { someNumbers } from '../builders/metrics.ts';

/** All values that a label has, or what there is one of for each. */
type Values = readonly string[] | { readonly oneFor: string };

export interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, Values>>;
}

interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

const controllers = Object.values(KINDS).map(({ kind }) => kind.toLowerCase());
const kinds = Object.keys(KINDS);
const counts = ['ready', 'total'];

/** Of a label, or of one of a metric alone, where the metric's name stands before it. What a server tells from its start on needs no entry. */
const VALUES: Readonly<Record<string, Values>> = {
  role: ['operator', 'server'],
  release: { oneFor: 'process' },
  store: { oneFor: 'Store' },
  'bootfarm_store_state state': STORE_STATES,
  namespace: { oneFor: 'namespace with farms' },
  name: { oneFor: 'resource' },
  farm: { oneFor: 'Farm' },
  site: { oneFor: 'site' },
  pool: { oneFor: 'StreamingServer' },
  server: { oneFor: 'server' },
  vdisk: { oneFor: 'VDisk' },
  version: { oneFor: 'version' },
  kind: kinds,
  'bootfarm_resource_condition type': Object.keys(TYPES),
  what: ['keys', 'passwords', 'ca'],
  controller: controllers,
  result: ['success', 'error', 'requeue_after'],
  method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
  'rest_client_requests_total code': { oneFor: 'HTTP status' },
  'bootfarm_farm_devices state': ['known', 'streaming', 'booting'],
  'bootfarm_farm_servers state': counts,
  'bootfarm_farm_followers state': counts,
  'bootfarm_pool_servers state': SERVER_STATES,
  'bootfarm_server_state state': SERVER_STATES.filter((state) => state !== 'Streaming'),
  'bootfarm_vdisk_boot_copies state': ['right', 'wanted', 'least'],
  'bootfarm_vdisk_copies state': COPY_STATES,
  'bootfarm_copy_state state': COPY_STATES.filter((state) => state !== 'UpToDate'),
  'workqueue_adds_total name': controllers,
  'workqueue_retries_total name': controllers,
  'workqueue_queue_duration_seconds name': controllers,
  'workqueue_work_duration_seconds name': controllers,
  'workqueue_depth name': controllers,
  'workqueue_unfinished_work_seconds name': controllers,
  'workqueue_longest_running_processor_seconds name': controllers,
  'leader_election_master_status name': ['bootfarm-operator'],
  'bootfarm_informer_relists_total kind': [...kinds, 'Node', 'Deployment', 'Pod'],
  'bootfarm_informer_relist_changes_total kind': [...kinds, 'Node', 'Deployment', 'Pod'],
};

function ofOperator(): Registry {
  const registry = processMetrics('operator');
  resourceMetrics(registry);
  engineMetrics(registry);
  return registry;
}

const isOwn = (name: string): boolean => !/^(process|nodejs)_/.test(name);

async function metricsOf(registry: Registry): Promise<readonly Metric[]> {
  const samples = samplesOf(await registry.metrics());
  const registered = (registry.getMetricsAsArray() as unknown as readonly Registered[]).filter(({ name }) =>
    isOwn(name),
  );
  return registered.map(({ name, type, help, labelNames }) => {
    const toldOf = (label: string): readonly string[] => [
      ...new Set(samples.flatMap((sample) => (sample.name === name ? (sample.labels[label] ?? []) : []))),
    ];
    const labels = labelNames.map((label) => [label, VALUES[`${name} ${label}`] ?? VALUES[label] ?? toldOf(label)]);
    return { name, type, help, labels: Object.fromEntries(labels) };
  });
}

export const serverTable = (): Promise<readonly Metric[]> => metricsOf(serverMetrics(someNumbers()).registry);
export const operatorTable = (): Promise<readonly Metric[]> => metricsOf(ofOperator());

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Of the text of `/metrics`; no label of ours has a quote in its value. */
const samplesOf = (text: string): readonly Sample[] =>
  [...text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? \S+$/gm)].map(([, name = '', labels = '']) => ({
    name,
    labels: Object.fromEntries(
      [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]),
    ),
  }));

/** One sentence for each metric of a running process that the table lacks, each label, and each value of a label that is bounded. */
export function metricFaults(text: string, table: readonly Metric[]): string[] {
  const found = samplesOf(text)
    .filter(({ name }) => isOwn(name))
    .flatMap(({ name, labels }) => {
      const metric = table.find((one) =>
        one.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') === one.name : name === one.name,
      );
      if (!metric) return [`${name} is in no table of docs/metrics.md`];
      return Object.entries(labels).flatMap(([label, value]) => {
        if (metric.type === 'histogram' && label === 'le') return [];
        const values = metric.labels[label];
        if (values === undefined) return [`${name} has a label ${label} that its table lacks`];
        return 'oneFor' in values || values.includes(value)
          ? []
          : [`${name}: ${label} is ${value}, which is no value of it`];
      });
    });
  const unbounded = table.flatMap(({ name, labels }) =>
    Object.entries(labels).flatMap(([label, values]) =>
      'oneFor' in values || values.length > 0 ? [] : [`${name}: nothing says which values ${label} has`],
    ),
  );
  return [...new Set([...found, ...unbounded])];
}

/** By the end of a name, as Prometheus has it: base units. */
const UNITS = ['seconds', 'bytes', 'percent'] as const;
const unitOf = (name: string): string => UNITS.find((unit) => new RegExp(`_${unit}(_total)?$`).test(name)) ?? '';

const labelText = ([label, values]: readonly [string, Values]): string =>
  'oneFor' in values ? `${label}: one for each ${values.oneFor}` : `${label}: ${values.join(' ')}`;

const tableText = (metrics: readonly Metric[]): string =>
  [
    '| metric | type | unit | labels and their values | what it is |',
    '| --- | --- | --- | --- | --- |',
    ...metrics.map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${unitOf(name)} | ${Object.entries(labels).map(labelText).join('; ')} | ${help} |`,
    ),
  ].join('\n');

export const metricsDocument = async (): Promise<string> => `# Metrics

Made by \`npm run generate\` from what each role registers. Both are on port 6912 of a server (\`spec.ports.telemetry\`) and 8080 of the operator, at \`/metrics\`, beside Node's own
(\`process_…\`, \`nodejs_…\`). A label has the values that stand here, and no other; where there is one for each of something, that bounds them.

The containers \`work\` and \`mount\`, the embedded database and the replica have no port of their own: a server tells of its keeper of jobs and of what is mounted
(\`bootfarm_work_…\`, \`bootfarm_store_…\`), the operator of database and replica (\`bootfarm_resource_condition\` of the Farm).

[Alerts](runbooks/README.md) and the dashboard use these names alone: \`charts/bootfarm/monitoring\`, by \`monitoring\` in the values of the chart, and \`deploy/monitoring\` for kustomize.

## A server

${tableText(await serverTable())}

## The operator

Names of the engine are those of controller-runtime and client-go, so that dashboards made for them fit. Every copy of the operator tells of the resources: take \`max by (namespace, name)\`.

${tableText(await operatorTable())}

\`bootfarm_copy_state\` has a series a copy that is not UpToDate, and \`bootfarm_server_state\` one a server that does not stream, in the state that it is in; how many are in
which state, UpToDate and Streaming too, is \`bootfarm_vdisk_copies\` and \`bootfarm_pool_servers\`.
`;
