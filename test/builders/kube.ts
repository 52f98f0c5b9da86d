import type { KubeObject, ObjectMeta } from '../../src/kube/object.ts';

/** A ConfigMap called `name`, in version `version`, unless said otherwise. */
export const anObject = (metadata: Partial<ObjectMeta> = {}, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  ...more,
  metadata: { name: 'a', namespace: 'lab', uid: 'uid-a', resourceVersion: '1', ...metadata },
});
