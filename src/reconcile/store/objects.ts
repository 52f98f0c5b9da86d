/** The mount pod of a shared store on one node, as a Deployment: what the kubelet mounts for it, it shows on the node (`src/mount`). Pure. */
import type { V1Deployment, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { Wire } from '../../kube/wire.ts';
import type { Store, StreamingServer } from '../../resources/kinds.ts';
import { HASH_ANNOTATION, INSTANCE_LABEL, labelsOf, MOUNT_NODE_ANNOTATION, mountName } from '../names.ts';
import { settingsHash, sharedFolder, tolerationsOf } from '../streamingserver/objects.ts';

export interface MountPlan {
  readonly store: Store;
  /** Of the server on this node. */
  readonly pool: StreamingServer;
  /** Of the farm's keys. */
  readonly lineage: string;
  readonly node: string;
  readonly image: string;
  /** Where the pool names none. */
  readonly priorityClassName?: string;
}

const [SOURCE, SOURCE_READ, TARGET] = ['/source', '/source-read', '/target'];
/** It has nothing to wait for: what it unmounts it unmounts lazily. */
const GRACE_SECONDS = 10;
/** After this a pod that does not come up holds up no other. */
const PROGRESS_SECONDS = 60;

/** By its specification: also its mount pod mounts it so. */
export const isReadOnly = ({ nfs, persistentVolumeClaim, iscsi, fc }: Store['spec']): boolean =>
  (nfs ?? persistentVolumeClaim ?? iscsi ?? fc)?.readOnly ?? false;

/** The core volume types, passed through; false is their default, and the API gives it back as nothing. */
function volumeOf({ nfs, persistentVolumeClaim, iscsi, fc }: Store['spec']): Partial<Wire<V1Volume>> {
  const said = <T extends object>(volume: T | undefined): T | undefined => {
    const { clusterFilesystem: _, ...core } = { clusterFilesystem: undefined, ...volume };
    return volume && (Object.fromEntries(Object.entries(core).filter(([, value]) => value !== false)) as T);
  };
  if (nfs) return { nfs: said(nfs) };
  if (persistentVolumeClaim) return { persistentVolumeClaim: said(persistentVolumeClaim) };
  return iscsi ? { iscsi: said(iscsi) } : { fc: said(fc) };
}

/** Twice: what the server sees may not be written, wherever the mount propagates to. */
export function mountDeployment({
  store,
  pool,
  lineage,
  node,
  image,
  priorityClassName,
}: MountPlan): Wire<V1Deployment> {
  const { spec } = pool;
  const { name } = store.metadata;
  const labels = {
    ...labelsOf(store.spec.farmRef.name, 'mount'),
    [INSTANCE_LABEL]: mountName(name, node),
  };
  const write = isReadOnly(store.spec) ? SOURCE_READ : SOURCE;
  const bindings = [`${SOURCE_READ}=${TARGET}/read/${name}`, `${write}=${TARGET}/write/${name}`];
  const volumeMounts: Wire<V1VolumeMount>[] = [
    ...(isReadOnly(store.spec) ? [] : [{ name: 'source', mountPath: SOURCE }]),
    { name: 'source', mountPath: SOURCE_READ, readOnly: true },
    { name: 'target', mountPath: TARGET, mountPropagation: 'Bidirectional' },
  ];
  const template: NonNullable<Wire<V1Deployment>['spec']>['template'] = {
    metadata: { labels },
    spec: {
      // It speaks to nobody, and needs no network of its own to be made first.
      hostNetwork: true,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      nodeSelector: { 'kubernetes.io/hostname': node },
      tolerations: tolerationsOf(pool),
      priorityClassName: spec.placement.priorityClassName ?? priorityClassName,
      imagePullSecrets: spec.imagePullSecrets,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      containers: [
        {
          name: 'mount',
          image: spec.image ?? image,
          imagePullPolicy: spec.imagePullPolicy,
          args: ['mount', '--at', ...bindings],
          // Kubernetes asks for it where a mount is to be seen outside of the pod.
          securityContext: { privileged: true, readOnlyRootFilesystem: true, runAsUser: 0, runAsNonRoot: false },
          terminationMessagePolicy: 'FallbackToLogsOnError',
          // Measured: 14 MiB of its own, and 43 of files that it shares with the server.
          resources: { requests: { cpu: '5m', memory: '32Mi' }, limits: { memory: '256Mi' } },
          volumeMounts,
        },
      ],
      volumes: [
        { name: 'source', ...volumeOf(store.spec) },
        { name: 'target', hostPath: { path: sharedFolder(pool, lineage), type: 'DirectoryOrCreate' } },
      ],
    },
  };
  const settings = settingsHash([JSON.stringify(template)]);
  return {
    metadata: { labels, annotations: { [MOUNT_NODE_ANNOTATION]: node, [HASH_ANNOTATION]: settings } },
    spec: {
      replicas: 1,
      strategy: { type: 'Recreate' },
      progressDeadlineSeconds: PROGRESS_SECONDS,
      selector: { matchLabels: labels },
      template,
    },
  };
}
