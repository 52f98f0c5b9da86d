/** The parts of a report: each is read by itself, and one that fails is named. */
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { stringify } from 'yaml';
import type { Client } from '../kube/client.ts';
import { kinds } from '../kube/kinds.ts';
import { all, type Kind, type KubeObject } from '../kube/object.ts';
import type { RawReader } from '../kube/raw.ts';
import { redacted, redactedText } from './report-redact.ts';
import type { ReportFile } from './report-tar.ts';

export interface ReportSource {
  readonly client: Pick<Client, 'listAll'>;
  readonly raw: Pick<RawReader, 'read'>;
  /** Of the farms; none: all. */
  readonly namespaces: readonly string[];
  readonly operatorNamespace: string;
}

const FOLDER = 'bootfarm-report';
const LOG_LINES = 5_000;
/** Of one container, and of the metrics of one pod. */
const MAX_TEXT_BYTES = 1 << 20;
/** Of all: a hundred servers with full logs, packed to a tenth of it. */
const MAX_BYTES = 256 << 20;

const OURS = [kinds.Farm, kinds.Store, kinds.VDisk, kinds.StreamingServer];
const MADE = [kinds.Deployment, kinds.StatefulSet, kinds.Pod];
const BY_US = 'app.kubernetes.io/managed-by=bootfarm';
const OPERATOR = 'app.kubernetes.io/name=bootfarm,app.kubernetes.io/component=operator';

export async function gatherReport(source: ReportSource): Promise<readonly ReportFile[]> {
  const report = new Report();
  const { raw, operatorNamespace } = source;
  const version = await raw.read('/version', MAX_TEXT_BYTES);
  if (version.ok) report.add('version.json', version.value);
  else report.failed('version of the cluster', version.error.message);
  await addNodes(report, source);
  const namespaces = source.namespaces.length > 0 ? source.namespaces : [''];
  for (const namespace of namespaces) {
    for (const kind of OURS) await addList(report, source, kind, namespace);
    for (const kind of MADE) await addList(report, source, kind, namespace, BY_US);
    await addList(report, source, kinds.Event, namespace);
  }
  for (const kind of [kinds.Deployment, kinds.Pod]) await addList(report, source, kind, operatorNamespace, OPERATOR);
  for (const pod of report.pods) await addPod(report, raw, pod);
  return report.files();
}

class Report {
  readonly pods: V1Pod[] = [];
  readonly #files: ReportFile[] = [];
  readonly #faults: string[] = [];
  #bytes = 0;

  /** All that comes into the report goes through here. */
  add(path: string, text: string): void {
    const told = redactedText(text);
    const bytes = Buffer.byteLength(told);
    if (this.#bytes + bytes > MAX_BYTES) {
      this.failed(path, `the report has ${MAX_BYTES} bytes at most`);
      return;
    }
    this.#bytes += bytes;
    this.#files.push({ path: short(`${FOLDER}/${path}`), text: told });
  }

  failed(what: string, why: string): void {
    this.#faults.push(redactedText(`${what}: ${why.replaceAll('\n', ' ')}`));
  }

  files(): readonly ReportFile[] {
    const faults = this.#faults.map((line) => `${line}\n`).join('');
    return [...this.#files, { path: `${FOLDER}/faults.txt`, text: faults }];
  }
}

/** A tar has room for 100 characters: the end says what it is. */
const short = (path: string): string => (path.length <= 100 ? path : `${FOLDER}/…${path.slice(-80)}`);

async function addList(
  report: Report,
  { client }: ReportSource,
  kind: Kind,
  namespace: string,
  labelSelector?: string,
): Promise<void> {
  const where = namespace || 'all namespaces';
  const found = await client.listAll(all(kind, namespace), labelSelector === undefined ? {} : { labelSelector });
  if (!found.ok) return report.failed(`${kind.plural} of ${where}`, found.error.message);
  if (kind === kinds.Pod) report.pods.push(...(found.value as unknown as readonly V1Pod[]));
  if (found.value.length > 0)
    report.add(
      `${namespace || 'all'}/${kind.plural}${labelSelector === OPERATOR ? '-operator' : ''}.yaml`,
      yamlOf(found.value),
    );
}

const yamlOf = (objects: readonly KubeObject[]): string =>
  objects
    .map((object) => `---\n${stringify(redacted(object), { lineWidth: 0, aliasDuplicateObjects: false })}`)
    .join('');

/** What nodes are, not what else runs there. */
async function addNodes(report: Report, { client }: ReportSource): Promise<void> {
  const nodes = await client.listAll(all(kinds.Node));
  if (!nodes.ok) return report.failed('nodes', nodes.error.message);
  const facts = nodes.value.map((node) => {
    const { metadata, spec, status } = node as unknown as V1Node;
    const { nodeInfo, conditions, capacity, allocatable } = status ?? {};
    return {
      name: metadata?.name,
      labels: metadata?.labels,
      taints: spec?.taints,
      nodeInfo,
      conditions,
      capacity,
      allocatable,
    };
  });
  report.add('nodes.yaml', stringify(redacted(JSON.parse(JSON.stringify(facts)))));
}

async function addPod(report: Report, raw: Pick<RawReader, 'read'>, { metadata, spec, status }: V1Pod): Promise<void> {
  const { namespace = '', name = '' } = metadata ?? {};
  const at = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const restarted = new Set(
    (status?.containerStatuses ?? []).flatMap(({ name, restartCount }) => (restartCount > 0 ? name : [])),
  );
  for (const { name: container } of containers)
    for (const previous of restarted.has(container) ? [false, true] : [false]) {
      const query = `container=${encodeURIComponent(container)}&tailLines=${LOG_LINES}&limitBytes=${MAX_TEXT_BYTES}&timestamps=true&previous=${previous}`;
      const log = await raw.read(`${at}/log?${query}`, MAX_TEXT_BYTES);
      const file = `${container}${previous ? '-previous' : ''}.log`;
      if (log.ok) report.add(`${namespace}/${name}/${file}`, log.value);
      else report.failed(`log of ${namespace}/${name} ${container}`, log.error.message);
    }
  const port = containers
    .flatMap(({ ports = [] }) => ports)
    .find(({ name }) => name === 'telemetry' || name === 'metrics');
  if (!port) return;
  const metrics = await raw.read(`${at}:${port.containerPort}/proxy/metrics`, MAX_TEXT_BYTES);
  if (metrics.ok) report.add(`${namespace}/${name}/metrics.txt`, metrics.value);
  else report.failed(`metrics of ${namespace}/${name}`, metrics.error.message);
}
