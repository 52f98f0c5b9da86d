/**
 * What the API server asks of names, labels and selectors (Kubernetes documentation, "Object Names and IDs" and "Labels and Selectors"), for
 * many renderings at once. `chart-names.test.ts` shows that a real one asks the same.
 */

type Fields = Readonly<Record<string, unknown>>;

const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const LABEL_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const isText = (value: unknown, longest: number, shape: RegExp): boolean =>
  typeof value === 'string' && value.length <= longest && shape.test(value);
const isSubdomain = (value: unknown): boolean => isText(value, 253, DNS_SUBDOMAIN);
/** Of RBAC: whatever can be a part of a path. */
const isPathSegment = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && value !== '.' && value !== '..' && !/[/%]/.test(value);

const NAMES: Readonly<Record<string, (value: unknown) => boolean>> = {
  Namespace: (value) => isText(value, 63, DNS_LABEL),
  Role: isPathSegment,
  RoleBinding: isPathSegment,
  ClusterRole: isPathSegment,
  ClusterRoleBinding: isPathSegment,
  Service: (value) => isText(value, 63, /^[a-z]([-a-z0-9]*[a-z0-9])?$/),
};
const NAMESPACED = new Set([
  ...['ServiceAccount', 'Role', 'RoleBinding', 'Deployment', 'PodDisruptionBudget', 'Service', 'ConfigMap', 'Secret'],
]);

function labelFaults(labels: unknown): string[] {
  return Object.entries(mapOf(labels)).flatMap(([key, value]) => {
    const [name = '', prefix] = key.split('/').reverse();
    const good = isText(name, 63, LABEL_NAME) && (prefix === undefined || isSubdomain(prefix));
    return [
      ...(good ? [] : [`${key} is no label`]),
      ...(isText(value, 63, LABEL_VALUE) ? [] : [`${key}: ${JSON.stringify(value)} is no value of a label`]),
    ];
  });
}

/** One sentence for each thing that the API server would refuse; empty when it takes all. */
export function faults(objects: readonly object[]): string[] {
  const ids = objects.map(idOf);
  const twice = ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id} is there twice`);
  return [...twice, ...objects.flatMap((object) => faultsOf(object, ids).map((fault) => `${idOf(object)}: ${fault}`))];
}

function faultsOf(object: object, ids: readonly string[]): string[] {
  const kind = String(at(object, 'kind'));
  const found: string[] = [];
  const name = at(object, 'metadata', 'name');
  const namespace = at(object, 'metadata', 'namespace');
  if (!(NAMES[kind] ?? isSubdomain)(name)) found.push(`${JSON.stringify(name)} is no name of a ${kind}`);
  if (NAMESPACED.has(kind) ? !isText(namespace, 63, DNS_LABEL) : namespace !== undefined)
    found.push(`${JSON.stringify(namespace)} is no namespace of a ${kind}`);
  found.push(...labelFaults(at(object, 'metadata', 'labels')));
  const selector = mapOf(at(object, 'spec', 'selector', 'matchLabels'));
  found.push(...labelFaults(selector));
  if (kind === 'Deployment') {
    const pod = at(object, 'spec', 'template');
    const labels = mapOf(at(pod, 'metadata', 'labels'));
    found.push(...labelFaults(labels));
    for (const [key, value] of Object.entries(selector))
      if (labels[key] !== value) found.push(`selects ${key}=${value}, and its pods have ${labels[key]}`);
    const account = `ServiceAccount ${namespace}/${at(pod, 'spec', 'serviceAccountName')}`;
    if (!ids.includes(account)) found.push(`runs as ${account}, which is not there`);
  }
  if (kind.endsWith('RoleBinding')) {
    const role = `${at(object, 'roleRef', 'kind')} ${kind === 'RoleBinding' ? `${namespace}/` : ''}${at(object, 'roleRef', 'name')}`;
    if (!ids.includes(role)) found.push(`binds ${role}, which is not there`);
    for (const subject of listOf(at(object, 'subjects'))) {
      if (at(subject, 'kind') === 'Group') continue;
      const account = `ServiceAccount ${at(subject, 'namespace')}/${at(subject, 'name')}`;
      if (!ids.includes(account)) found.push(`binds ${account}, which is not there`);
    }
  }
  if (kind === 'ValidatingAdmissionPolicyBinding') {
    const policy = `ValidatingAdmissionPolicy ${at(object, 'spec', 'policyName')}`;
    if (!ids.includes(policy)) found.push(`binds ${policy}, which is not there`);
  }
  return found;
}

const idOf = (object: object): string => {
  const namespace = at(object, 'metadata', 'namespace');
  return `${at(object, 'kind')} ${namespace === undefined ? '' : `${namespace}/`}${at(object, 'metadata', 'name')}`;
};

const mapOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, key) => mapOf(inner)[key], value);
