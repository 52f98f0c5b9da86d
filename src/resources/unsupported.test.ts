/** What the CRDs describe, something does; or the answer says that nothing does yet. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { readSources } from '../../test/check/arrows.ts';
import { wordsOf } from '../../test/check/tidy.ts';
import type { KindName } from './kinds.ts';
import { UNSUPPORTED, unsupported } from './unsupported.ts';

const root = join(import.meta.dirname, '../..');

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

/** Of all code but the schema itself. */
const words = wordsOf(
  readSources(join(root, 'src')).filter(
    ({ path }) => !path.startsWith('resources/') && path !== 'reconcile/unsupported.ts',
  ),
);

/** Given to Kubernetes whole, as it is. */
const PASSED_ON = [
  'tolerations',
  'resources',
  'nodeSelector',
  'imagePullSecrets',
  'conditions',
  'nfs',
  'persistentVolumeClaim',
  'iscsi',
  'fc',
];

function* fieldsOf(schema: Schema, path: string): Generator<readonly [path: string, name: string, field: Schema]> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield [`${path}.${name}`, name, field];
    if (PASSED_ON.includes(name)) continue;
    yield* fieldsOf(field, `${path}.${name}`);
    if (field.items) yield* fieldsOf(field.items, `${path}.${name}`);
  }
}

const crds = readdirSync(join(root, 'crds')).map((file) => {
  const { spec } = parse(readFileSync(join(root, 'crds', file), 'utf8'));
  return { kind: spec.names.kind as KindName, schema: spec.versions[0].schema.openAPIV3Schema.properties };
});

test.each(crds)('every field of a $kind is read, or refused by name', ({ kind, schema }) => {
  const refused = UNSUPPORTED[kind].map(({ path }) => `spec.${path}`);
  const isRefused = (path: string) => refused.some((known) => path === known || path.startsWith(`${known}.`));
  const broken = [...fieldsOf(schema.spec, 'spec')]
    .filter(([path, name]) => !words.has(name) && !isRefused(path))
    .map(([path]) => path);
  expect(broken).toEqual([]);
});

test.each(crds)('every field of the status of a $kind is written, or says that it is not', ({ schema }) => {
  const broken = [...fieldsOf(schema.status, 'status')]
    .filter(([, name, { description }]) => !words.has(name) && !description?.includes('Absent in this release'))
    .map(([path]) => path);
  expect(broken).toEqual([]);
});

test('every command that a CRD names is one', () => {
  const main = readFileSync(join(root, 'src/main.ts'), 'utf8');
  for (const file of readdirSync(join(root, 'crds')))
    for (const [, command] of readFileSync(join(root, 'crds', file), 'utf8').matchAll(/\bbootfarm ([a-z]+)\b/g))
      expect(main).toContain(`${command}Command()`);
});

test.each(crds)('what is refused of a $kind is in its schema', ({ kind, schema }) => {
  const known = [...fieldsOf(schema.spec, 'spec')].map(([path]) => path);
  for (const { path } of UNSUPPORTED[kind]) expect(known).toContain(`spec.${path}`);
});

test.each<{ kind: KindName; spec: object; says: string | undefined }>([
  { kind: 'Farm', spec: {}, says: undefined },
  { kind: 'Farm', spec: { versions: { maxChain: 3 } }, says: undefined },
  { kind: 'Farm', spec: { security: { stream: 'Trusted' } }, says: undefined },
  {
    kind: 'Farm',
    spec: { security: { stream: 'Encrypted' } },
    says: 'spec.security.stream Encrypted is not supported',
  },
  { kind: 'Farm', spec: { boot: { verbose: false }, collections: [{ template: {} }] }, says: undefined },
  { kind: 'Farm', spec: { boot: { verbose: true } }, says: 'spec.boot.verbose true is not supported in this release' },
  {
    kind: 'Farm',
    spec: { sites: [{}, { boot: {} }, { boot: { verbose: true } }] },
    says: 'spec.sites.boot.verbose true is not supported in this release',
  },
  {
    kind: 'Farm',
    spec: { collections: [{ template: {} }, { template: { timezone: 'Europe/Paris' } }] },
    says: 'spec.collections.template is not supported in this release: leave it out, and give each device its properties',
  },
  { kind: 'Store', spec: { replication: { mode: 'Report' } }, says: undefined },
  { kind: 'Store', spec: { replication: { verifyEvery: '12h' } }, says: undefined },
  { kind: 'Store', spec: { replication: { mode: 'Auto', parallel: 4, bandwidth: '1G' } }, says: undefined },
  { kind: 'Store', spec: { iscsi: {} }, says: undefined },
  { kind: 'VDisk', spec: { writeCache: { type: 'DeviceRAM', sizeMiB: 64 } }, says: undefined },
  { kind: 'VDisk', spec: { writeCache: { type: 'Server' } }, says: 'spec.writeCache.type Server is not supported' },
  { kind: 'VDisk', spec: { deletionPolicy: 'Delete' }, says: 'spec.deletionPolicy Delete is not supported' },
  { kind: 'StreamingServer', spec: { autoscaling: { maxReplicas: 4 } }, says: 'spec.autoscaling is not supported' },
])('$kind $spec: $says', ({ kind, spec, says }) => {
  const message = unsupported(kind, spec);
  if (says === undefined) expect(message).toBeUndefined();
  else expect(message).toContain(says);
});
