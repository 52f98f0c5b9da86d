import { expect, test } from '@jest/globals';
import type { StreamingServer } from '../../resources/kinds.ts';
import type { Infrastructure } from '../farm/runtimes.ts';
import { wantedServer } from './apply.ts';
import type { ServerPlan } from './objects.ts';

const pool = (spec: Partial<StreamingServer['spec']> = {}): StreamingServer => ({
  apiVersion: 'bootfarm.io/v1alpha1',
  kind: 'StreamingServer',
  metadata: { name: 'main', namespace: 'farm' },
  spec: { farmRef: { name: 'farm' }, ...spec },
  status: {},
});
const plan = (more: Partial<ServerPlan> = {}): ServerPlan => ({
  pool: pool(),
  farm: 'farm',
  site: 'default',
  node: 'node-a',
  image: 'bootfarm:1',
  release: '1',
  httpPort: 8069,
  ...more,
});
const inputs = {} as Infrastructure;
const settings = (more: Partial<ServerPlan> = {}): string =>
  wantedServer(plan(more), 'postgres://farm', inputs).settings;

test('the same settings have the same digest', () => {
  expect(settings({ pool: pool({ replicas: 2 }) })).toBe(settings());
});

/** Whatever restarts a server must be in the digest: what is not changes all servers of the pool at once. */
test.each([
  { what: 'its configuration', more: { httpPort: 80 } },
  { what: 'its image', more: { image: 'bootfarm:2' } },
  { what: 'the release of the operator', more: { release: '2' } },
  { what: 'its resources', more: { pool: pool({ resources: { requests: { cpu: '1' } } }) } },
  { what: 'its priority', more: { pool: pool({ placement: { priorityClassName: 'high' } }) } },
  { what: 'what it tolerates', more: { pool: pool({ placement: { tolerations: [{ operator: 'Exists' }] } }) } },
  { what: 'how its image is pulled', more: { pool: pool({ imagePullPolicy: 'Always' }) } },
] satisfies readonly { what: string; more: Partial<ServerPlan> }[])('$what is in it', ({ more }) => {
  expect(settings(more)).not.toBe(settings());
});
