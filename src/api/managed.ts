/** Who keeps a resource as it stands in git, by the marks that they leave on it: an edit of ours they would make undone. Pure. */
import type { KubeObject } from '../kube/object.ts';

/** In order: the first that is there says it. */
const MARKS: readonly { readonly by: string; readonly of: 'labels' | 'annotations'; readonly key: string }[] = [
  { by: 'Argo CD', of: 'annotations', key: 'argocd.argoproj.io/tracking-id' },
  { by: 'Argo CD', of: 'labels', key: 'argocd.argoproj.io/instance' },
  { by: 'Flux', of: 'labels', key: 'kustomize.toolkit.fluxcd.io/name' },
  { by: 'Flux', of: 'labels', key: 'helm.toolkit.fluxcd.io/name' },
];

/** Such as `Flux (kustomize.toolkit.fluxcd.io/name: farm)`. */
export function keeperOf({ metadata }: KubeObject): string | undefined {
  for (const { by, of, key } of MARKS) {
    const value = metadata[of]?.[key];
    if (value !== undefined) return `${by} (${key}: ${value})`;
  }
  return undefined;
}
