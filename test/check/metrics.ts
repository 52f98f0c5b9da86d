/** `docs/metrics.md`, made from the metrics that each role registers. */

import type { Registry } from 'prom-client';
import { engineMetrics } from '../../src/kube/metrics.ts';
import { resourceMetrics } from '../../src/reconcile/metrics.ts';
import { serverMetrics } from '../../src/server/metrics.ts';
import { NO_PULLS } from '../../src/store/pulls.ts';
import { processMetrics } from '../../src/telemetry/process.ts';

interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

const none = () => 0;

function ofServer(): Registry {
  const never = () => undefined;
  const numbers = {
    stream: never,
    buffers: never,
    servedCopies: none,
    journalEntries: none,
    pulls: () => NO_PULLS,
    rottenChunks: () => 0,
    jobs: none,
    databaseReachable: () => false,
  };
  return serverMetrics({ ...numbers, load: () => ({ devices: 0, booting: 0, loadPercent: 0 }) }).registry;
}

function ofOperator(): Registry {
  const registry = processMetrics('operator');
  resourceMetrics(registry);
  engineMetrics(registry);
  return registry;
}

const isOwn = ({ name }: Registered): boolean => !/^(process|nodejs)_/.test(name);

const table = (registry: Registry): string => {
  const rows = (registry.getMetricsAsArray() as unknown as readonly Registered[]).filter(isOwn);
  return [
    '| metric | type | labels | what it is |',
    '| --- | --- | --- | --- |',
    ...rows.map(({ name, type, labelNames, help }) => `| \`${name}\` | ${type} | ${labelNames.join(', ')} | ${help} |`),
  ].join('\n');
};

export const metricsDocument = (): string => `# Metrics

Made by \`npm run generate\` from what each role registers. Both are on port 6912 of a server (\`spec.ports.telemetry\`) and 8080 of the operator, at \`/metrics\`, beside Node's own
(\`process_…\`, \`nodejs_…\`).

## A server

${table(ofServer())}

## The operator

Names of the engine are those of controller-runtime and client-go, so that dashboards made for them fit. Every copy of the operator tells of the resources: take \`max by (namespace, name)\`.

${table(ofOperator())}

\`bootfarm_copy_state\` has a series a copy that is not UpToDate, in the state that it is in; how many are in which state, UpToDate too, is
\`bootfarm_vdisk_copies\`.

### An alert

A copy that is not right for half an hour, whatever its state is meanwhile: machines of that server are served by others, or by none.

\`\`\`yaml
groups:
  - name: bootfarm
    rules:
      - alert: BootfarmCopyNotRight
        expr: max by (namespace, vdisk, version, server) (bootfarm_copy_state) > 0
        for: 30m
        labels: {severity: warning}
        annotations:
          summary: 'version {{ $labels.version }} of vDisk {{ $labels.namespace }}/{{ $labels.vdisk }} is not right on {{ $labels.server }}'
          description: '\`bootfarm replication {{ $labels.vdisk }}\` says what it lacks, and how it becomes right.'
\`\`\`
`;
