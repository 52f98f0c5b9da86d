/** `npm run generate`: writes what is made from the source and committed. `generated()` is the same for the check: nothing is written. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { crdOf } from '../../src/resources/crd.ts';
import { GROUP } from '../../src/resources/kind.ts';
import { KINDS } from '../../src/resources/kinds.ts';
import { dashboard } from './dashboard.ts';
import { hasHelm, kustomizeBase } from './kustomize.ts';
import { metricsDocument } from './metrics.ts';
import { notice } from './notice.ts';
import { wireHeader } from './wire.ts';

const root = join(import.meta.dirname, '../..');
const HEADER = '# Made from src/resources by `npm run generate`: change it there.\n';

/** The folders that hold nothing but generated files. */
const FOLDERS = ['crds', 'charts/bootfarm/templates/crds', 'deploy/base', 'deploy/monitoring'];

/** Every generated file by its path in the checkout. */
async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const kind of Object.values(KINDS)) {
    const crd = crdOf(kind);
    files.set(`crds/${GROUP}_${kind.plural}.yaml`, HEADER + yaml(crd));
    files.set(`charts/bootfarm/templates/crds/${kind.plural}.yaml`, crdTemplate(crd));
  }
  files.set('charts/bootfarm/monitoring/dashboard.json', `${JSON.stringify(dashboard(), undefined, 1)}\n`);
  for (const [path, text] of kustomizeBase(root, files)) files.set(path, text);
  files.set('docs/metrics.md', await metricsDocument());
  files.set('target/src/wire.h', wireHeader());
  files.set('NOTICE', notice(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  return files;
}

const yaml = (object: unknown): string => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false });

/** In templates, because Helm never updates what is in a chart's crds folder. */
const crdTemplate = (crd: object): string => `{{- if .Values.crds.install }}\n${HEADER}${yaml(crd)}{{- end }}\n`;

const leftovers = (files: ReadonlyMap<string, string>): string[] =>
  FOLDERS.filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
    .filter((path) => !files.has(path));

/** One line for each file that differs from what the source says; empty when none does. */
export async function generated(): Promise<string[]> {
  const files = await generatedFiles();
  const differs = [...files].filter(
    ([path, text]) => !existsSync(join(root, path)) || readFileSync(join(root, path), 'utf8') !== text,
  );
  return [
    ...differs.map(([path]) => `${path} is not what it is made from says: run npm run generate and commit it`),
    ...leftovers(files).map((path) => `${path} is made by nothing: delete it`),
  ];
}

if (import.meta.main) {
  const files = await generatedFiles();
  for (const path of leftovers(files)) rmSync(join(root, path));
  for (const [path, text] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`${path} ${Buffer.byteLength(text)} bytes`);
  }
  if (!hasHelm())
    console.log('deploy/base is left as it was: there is no Helm to make it. Run make setup, then this again');
}
