/** What a mount pod is made of, and all that it can do: it is privileged, so nothing of it is left unsaid. */
import { expect, test } from '@jest/globals';
import { aStore, aStreamingServer, type Written } from '../../../test/builders/resources.ts';
import type { Store } from '../../resources/kinds.ts';
import { mountDeployment } from './objects.ts';

const made = (spec: Written<Store['spec']>) =>
  mountDeployment({
    store: aStore({ metadata: { name: 'nas' }, spec }),
    pool: aStreamingServer({ spec: { stateDirectory: '/var/lib/bootfarm' } }),
    ...{ lineage: '00112233aabbccdd', node: 'node-a', image: 'bootfarm:1' },
  });
const podOf = (spec: Written<Store['spec']>) => made(spec).spec?.template?.spec;

test.each<{ what: string; spec: Written<Store['spec']>; volume: object; readOnly?: boolean }>([
  { what: 'NFS', spec: { nfs: { server: 'nas', path: '/v' } }, volume: { nfs: { server: 'nas', path: '/v' } } },
  {
    what: 'NFS that may be written, as the API gives it back',
    spec: { nfs: { server: 'nas', path: '/v', readOnly: false } },
    volume: { nfs: { server: 'nas', path: '/v' } },
  },
  {
    what: 'a claim to read only',
    spec: { persistentVolumeClaim: { claimName: 'vdisks', readOnly: true } },
    volume: { persistentVolumeClaim: { claimName: 'vdisks', readOnly: true } },
    readOnly: true,
  },
  {
    what: 'a LUN over iSCSI with a cluster file system',
    spec: { iscsi: { targetPortal: 'san', iqn: 'iqn.x:y', lun: 0, fsType: 'ocfs2', clusterFilesystem: true } },
    volume: { iscsi: { targetPortal: 'san', iqn: 'iqn.x:y', lun: 0, fsType: 'ocfs2' } },
  },
  {
    what: 'a LUN over Fibre Channel',
    spec: { fc: { wwids: ['3600'], readOnly: true } },
    volume: { fc: { wwids: ['3600'], readOnly: true } },
    readOnly: true,
  },
])('$what is mounted as it is said', ({ spec, volume, readOnly = false }) => {
  const pod = podOf(spec);
  const folder = '/var/lib/bootfarm/lab/main.00112233aabbccdd.stores';
  expect(pod?.volumes).toEqual([
    { name: 'source', ...volume },
    { name: 'target', hostPath: { path: folder, type: 'DirectoryOrCreate' } },
  ]);
  const [container] = pod?.containers ?? [];
  expect(container?.args).toEqual([
    ...['mount', '--at', '/source-read=/target/read/nas'],
    readOnly ? '/source-read=/target/write/nas' : '/source=/target/write/nas',
  ]);
  expect(container?.volumeMounts).toEqual([
    ...(readOnly ? [] : [{ name: 'source', mountPath: '/source' }]),
    { name: 'source', mountPath: '/source-read', readOnly: true },
    { name: 'target', mountPath: '/target', mountPropagation: 'Bidirectional' },
  ]);
});

test('it may mount on its node, and has no token, Secret or network of the cluster', () => {
  const pod = podOf({ nfs: { server: 'nas', path: '/v' } });
  expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false, hostNetwork: true });
  expect([pod?.hostPID, pod?.hostIPC, pod?.initContainers, pod?.containers.length]).toEqual([
    ...[undefined, undefined, undefined],
    1,
  ]);
  expect(pod?.containers[0]).toMatchObject({ securityContext: { privileged: true, readOnlyRootFilesystem: true } });
  expect([pod?.containers[0]?.env, pod?.containers[0]?.ports]).toEqual([undefined, undefined]);
});

test('another volume is another digest, by which it is told that the pod changes', () => {
  const digest = (path: string) =>
    made({ nfs: { server: 'nas', path } }).metadata?.annotations?.['bootfarm.io/settings'];
  expect(digest('/v')).toBe(digest('/v'));
  expect(digest('/v')).not.toBe(digest('/w'));
});
