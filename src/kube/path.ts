import { groupOf, type Target } from './object.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The path and query of a request; parameters that are undefined or empty are left out. */
export function requestPath(target: Target, query: Query = {}, subresource = ''): string {
  const { apiVersion, plural, namespace, name } = target;
  const parts = [
    ...(groupOf(apiVersion) ? ['apis', ...apiVersion.split('/')] : ['api', apiVersion]),
    ...(namespace ? ['namespaces', namespace] : []),
    plural,
    ...(name ? [name] : []),
    ...(subresource ? [subresource] : []),
  ];
  const parameters = new URLSearchParams();
  for (const [parameter, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(parameter, String(value));
  }
  const path = `/${parts.map(encodeURIComponent).join('/')}`;
  return parameters.size > 0 ? `${path}?${parameters}` : path;
}
