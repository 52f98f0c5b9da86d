/** The part of every Kubernetes object that the engine reads. Times are the strings of the wire (RFC 3339). */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Any object; a kind's own type extends it and narrows `spec` and `status`. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** What the API calls a kind: enough to build its path. */
export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
}

/** A kind, or the kind in one namespace, or one object: what a request is about. */
export interface Target extends Kind {
  readonly namespace?: string;
  readonly name?: string;
}

/** The name by which caches and queues know an object: `namespace/name`, or `name` where there is no namespace. */
export type Key = string;

export const keyOf = ({ metadata }: KubeObject): Key => key(metadata.namespace, metadata.name);

export const key = (namespace: string | undefined, name: string): Key => (namespace ? `${namespace}/${name}` : name);

/** The parts of a key; the namespace is empty for what has none. */
export function partsOf(key: Key): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: slash < 0 ? '' : key.slice(0, slash), name: key.slice(slash + 1) };
}

/** One object of a kind. */
export const at = (kind: Kind, namespace: string | undefined, name: string): Target => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  plural: kind.plural,
  name,
  ...(namespace ? { namespace } : {}),
});

/** All objects of a kind, in one namespace or everywhere. */
export const all = (kind: Kind, namespace?: string): Target => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  plural: kind.plural,
  ...(namespace ? { namespace } : {}),
});

/** The API group of an apiVersion: empty for the core group. */
export const groupOf = (apiVersion: string): string =>
  apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
