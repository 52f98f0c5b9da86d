import type { Kind } from './object.ts';

const kind = (apiVersion: string, kind: string, plural: string): Kind => ({ apiVersion, kind, plural });

/** The kinds that the engine and the reconcilers speak of. Plurals are the API's own and can't be derived. */
export const kinds = {
  ConfigMap: kind('v1', 'ConfigMap', 'configmaps'),
  Namespace: kind('v1', 'Namespace', 'namespaces'),
  Node: kind('v1', 'Node', 'nodes'),
  PersistentVolumeClaim: kind('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  Pod: kind('v1', 'Pod', 'pods'),
  Secret: kind('v1', 'Secret', 'secrets'),
  Service: kind('v1', 'Service', 'services'),
  ServiceAccount: kind('v1', 'ServiceAccount', 'serviceaccounts'),
  Deployment: kind('apps/v1', 'Deployment', 'deployments'),
  StatefulSet: kind('apps/v1', 'StatefulSet', 'statefulsets'),
  Lease: kind('coordination.k8s.io/v1', 'Lease', 'leases'),
  Event: kind('events.k8s.io/v1', 'Event', 'events'),
  CustomResourceDefinition: kind('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'customresourcedefinitions'),
  Farm: kind('bootfarm.io/v1alpha1', 'Farm', 'farms'),
  StreamingServer: kind('bootfarm.io/v1alpha1', 'StreamingServer', 'streamingservers'),
  Store: kind('bootfarm.io/v1alpha1', 'Store', 'stores'),
  VDisk: kind('bootfarm.io/v1alpha1', 'VDisk', 'vdisks'),
} as const satisfies Record<string, Kind>;
