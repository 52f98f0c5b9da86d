import { describe, expect, test } from '@jest/globals';
import { copiesOf, type PodSeen, releaseOf, type ServiceSeen } from './release.ts';

const service = (instance: string, namespace: string, targetPort: string | number = 'api'): ServiceSeen => ({
  metadata: { name: `${instance}-api`, namespace, labels: { 'app.kubernetes.io/instance': instance } },
  spec: { selector: { a: 'b', 'app.kubernetes.io/instance': instance }, ports: [{ targetPort }] },
});
const ONE = service('bootfarm', 'bootfarm');
const TWO = service('prod', 'ops');

describe('which release', () => {
  test('the only one, or the one that is named; its selector finds its pods', () => {
    const release = {
      namespace: 'bootfarm',
      service: 'bootfarm-api',
      selector: 'a=b,app.kubernetes.io/instance=bootfarm',
    };
    expect(releaseOf([ONE, service('bootfarm', 'bootfarm', 6_912)], 'here is')).toEqual(release);
    expect(releaseOf([ONE, TWO], 'here is', { name: 'bootfarm' })).toEqual(release);
    expect(releaseOf([ONE, TWO], 'here is', { namespace: 'ops', name: 'prod' })).toMatchObject({ namespace: 'ops' });
  });

  test.each<[readonly ServiceSeen[], Parameters<typeof releaseOf>[2], string]>([
    [[ONE, TWO], undefined, 'bootfarm is there more than once: say which by --release: bootfarm/bootfarm, ops/prod'],
    [
      [ONE, service('bootfarm', 'ops')],
      { name: 'bootfarm' },
      'say which by --release: bootfarm/bootfarm, ops/bootfarm',
    ],
    [[ONE], { name: 'moon' }, 'context c has no release moon: it has bootfarm/bootfarm'],
    [[ONE], { namespace: 'ops', name: 'bootfarm' }, 'context c has no release ops/bootfarm: it has bootfarm/bootfarm'],
    [[], undefined, 'context c has no Service of an API of bootfarm'],
    [[service('bootfarm', 'bootfarm', 'metrics')], undefined, 'no Service of an API of bootfarm'],
  ])('%#: refused', (services, wanted, says) => {
    expect(() => releaseOf(services, 'context c has', wanted)).toThrow(says);
  });
});

describe('which copy', () => {
  const RELEASE = { namespace: 'bootfarm', service: 'bootfarm-api', selector: 'a=b' };
  const pod = (name: string, more: { ready?: string; going?: boolean; port?: string } = {}): PodSeen => ({
    metadata: { name, namespace: 'bootfarm', ...(more.going ? { deletionTimestamp: 'now' } : {}) },
    spec: { containers: [{ ports: [{ name: more.port ?? 'api', containerPort: 8_443 }] }] },
    status: { conditions: [{ type: 'Ready', status: more.ready ?? 'True' }] },
  });

  test('those that are ready, stay, and have the port', () => {
    const pods = [pod('a'), pod('b', { ready: 'False' }), pod('c', { going: true }), pod('d', { port: 'x' }), pod('e')];
    expect(copiesOf(RELEASE, pods)).toEqual([
      { pod: 'a', port: 8_443 },
      { pod: 'e', port: 8_443 },
    ]);
  });

  test.each([
    [[], 'there is none'],
    [[pod('b', { ready: 'False' })], '(b): `kubectl get pods -n bootfarm` shows why'],
  ])('none: the message says where to look', (pods, says) => {
    expect(() => copiesOf(RELEASE, pods)).toThrow(says);
  });
});
