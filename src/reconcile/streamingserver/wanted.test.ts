import { expect, test } from '@jest/globals';
import { aServerPlan, aStreamingServer, type Written } from '../../../test/builders/resources.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { deployment, type ServerPlan } from './objects.ts';
import { wantedServer } from './wanted.ts';

const pool = (spec: Written<StreamingServer['spec']> = {}): StreamingServer =>
  aStreamingServer({ metadata: { namespace: 'farm' }, spec: { storeRoots: [], ...spec } });
const plan = (more: Partial<ServerPlan> = {}): ServerPlan => aServerPlan({ pool: pool(), ...more });
const authority = { signer: { cert: 'A', key: '' }, trust: 'A' };
const inputs = { database: { uri: 'postgres://owner' }, authority } as Infrastructure;
const settings = (more: Partial<ServerPlan> = {}): string =>
  wantedServer(plan(more), 'postgres://farm', inputs).settings;

test('the same settings have the same digest', () => {
  expect(settings({ pool: pool({ replicas: 5 }) })).toBe(settings());
});

/** Whatever restarts a server must be in the digest: what is not changes all servers of the pool at once. */
test.each([
  { what: 'its configuration', more: { httpPort: 80 } },
  { what: 'the lineage of its farm', more: { lineage: 'ffeeddcc00112233' } },
  { what: 'its image', more: { image: 'bootfarm:2' } },
  { what: 'the release of the operator', more: { release: '2' } },
  { what: 'its resources', more: { pool: pool({ resources: { requests: { cpu: '1' } } }) } },
  { what: 'its priority', more: { pool: pool({ placement: { priorityClassName: 'high' } }) } },
  { what: 'what it tolerates', more: { pool: pool({ placement: { tolerations: [{ operator: 'Exists' }] } }) } },
  { what: 'how its image is pulled', more: { pool: pool({ imagePullPolicy: 'Always' }) } },
] satisfies readonly { what: string; more: Partial<ServerPlan> }[])('$what is in it', ({ more }) => {
  expect(settings(more)).not.toBe(settings());
});

test('a farm and the next one with a pool of the same name on the same node share no folder', () => {
  const written = (lineage: string): readonly string[] => {
    const { spec } = deployment(plan({ lineage }), '') as {
      readonly spec: { readonly template: { readonly spec: { readonly volumes: readonly Volume[] } } };
    };
    return spec.template.spec.volumes.flatMap(({ hostPath }) => hostPath?.path ?? []);
  };
  const [gone, next] = [written('00112233aabbccdd'), written('ffeeddcc00112233')];
  expect(gone).toHaveLength(7);
  expect(gone.filter((path) => next.some((other) => `${path}/`.startsWith(`${other}/`)))).toEqual([]);
});
interface Volume {
  readonly hostPath?: { readonly path: string };
}

test('whom a server believes is in it, and who signs: its follower reads both at its start alone', () => {
  const of = (trust: string): string =>
    wantedServer(plan(), 'postgres://farm', { ...inputs, authority: { ...authority, trust } }).settings;
  expect(new Set(['A', 'A B', 'B A', 'B'].map(of)).size).toBe(4);
});
