/** `deploy/base` and `deploy/monitoring`: what the chart installs, for those who take kustomize. Made by Helm from the chart, so that the two cannot differ. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { KEPT } from '../../src/resources/crd.ts';
import { binary } from '../cluster/cluster.ts';

const FOLDER = 'deploy/base';
const MONITORING = 'deploy/monitoring';
/** All of it, and nothing else. */
const MONITORED = [
  '--show-only=templates/monitoring.yaml',
  '--api-versions=monitoring.coreos.com/v1',
  ...['monitors', 'rules', 'dashboard'].map((part) => `--set=monitoring.${part}.enabled=true`),
];
const NAMESPACE = 'bootfarm';
/** Of the farms: kustomize has no values, so one is named; an overlay names others. */
const FARM_NAMESPACE = 'bootfarm-farms';
const HEADER = '# Made from charts/bootfarm by `npm run generate`: change it there.\n';

/**
 * Every file of the base by its path. `made` are generated files that the chart on disk may not have yet. Without Helm (CLUSTER=existing)
 * the files are those that are committed.
 */
export function kustomizeBase(root: string, made: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const helm = binary('helm');
  if (!hasHelm()) return new Map([...committed(root, FOLDER), ...committed(root, MONITORING)]);
  const texts = textsOf(render(helm, root, made));
  const namespaces = [
    namespace(NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' }),
    // With it would go the farms, and the passwords and keys of their data.
    namespace(FARM_NAMESPACE, FARM_LABELS, KEPT),
  ];
  texts.set('namespace.yaml', namespaces.map((made) => `---\n${stringify(made)}`).join(''));
  const watched = textsOf(render(helm, root, made, MONITORED));
  const files = [
    ...filesOf(FOLDER, texts, { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' }),
    ...filesOf(MONITORING, watched, { apiVersion: 'kustomize.config.k8s.io/v1alpha1', kind: 'Component' }),
  ];
  return new Map(files);
}

/** By the name of their template. */
function textsOf(rendered: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const section of rendered.split(/^---\n/m)) {
    const source = /^# Source: bootfarm\/templates\/(.*)$/m.exec(section)?.[1];
    const name = source?.replace('/', '-');
    if (name) texts.set(name, (texts.get(name) ?? '') + objectOf(section));
  }
  return texts;
}

function filesOf(folder: string, texts: ReadonlyMap<string, string>, head: object): (readonly [string, string])[] {
  const names = [...texts.keys()].sort();
  const files = names.map((name) => [`${folder}/${name}`, HEADER + (texts.get(name) ?? '')] as const);
  return [...files, [`${folder}/kustomization.yaml`, HEADER + stringify({ ...head, resources: names })]];
}

export const hasHelm = (): boolean => existsSync(binary('helm'));

type Texts = Readonly<Record<string, string>>;
const FARM_LABELS: Texts = { 'bootfarm.io/farms': 'allowed', 'pod-security.kubernetes.io/enforce': 'privileged' };
const namespace = (name: string, labels: Texts, annotations?: Texts): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels, ...(annotations ? { annotations } : {}) },
});

function committed(root: string, path: string): ReadonlyMap<string, string> {
  const folder = join(root, path);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return new Map(names.map((name) => [`${path}/${name}`, readFileSync(join(folder, name), 'utf8')]));
}

/** The chart with the files that are just being made. */
function render(helm: string, root: string, made: ReadonlyMap<string, string>, more: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-chart-'));
  try {
    const chart = join(root, 'charts/bootfarm');
    const onDisk = readdirSync(chart, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .filter((path) => !path.startsWith('charts/bootfarm/templates/crds/'))
      .map((path) => [path, readFileSync(join(root, path), 'utf8')] as const);
    for (const [path, text] of [...onDisk, ...made].filter(([path]) => path.startsWith('charts/'))) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const args = [
      'template',
      'bootfarm',
      join(folder, 'charts/bootfarm'),
      '--namespace',
      NAMESPACE,
      '--set',
      `farmNamespaces={${FARM_NAMESPACE}}`,
      ...more,
    ];
    return execFileSync(helm, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Rendered {
  readonly metadata: { readonly labels?: Record<string, string> };
}

/** Without what is Helm's own. */
function objectOf(section: string): string {
  const object: Rendered = parse(section);
  const { labels } = object.metadata;
  for (const key of ['app.kubernetes.io/managed-by', 'helm.sh/chart']) delete labels?.[key];
  return `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
