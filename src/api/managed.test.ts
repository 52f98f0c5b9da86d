import { expect, test } from '@jest/globals';
import { keeperOf } from './managed.ts';

test.each([
  ['nobody', {}, undefined],
  ['Helm, which takes its time', { labels: { 'app.kubernetes.io/managed-by': 'Helm' } }, undefined],
  [
    'Argo CD by its annotation',
    { annotations: { 'argocd.argoproj.io/tracking-id': 'farm:bootfarm.io/VDisk:lab/lab' } },
    'Argo CD (argocd.argoproj.io/tracking-id: farm:bootfarm.io/VDisk:lab/lab)',
  ],
  [
    'Argo CD by its label',
    { labels: { 'argocd.argoproj.io/instance': 'farm' } },
    'Argo CD (argocd.argoproj.io/instance: farm)',
  ],
  [
    'Flux, a Kustomization',
    { labels: { 'kustomize.toolkit.fluxcd.io/name': 'farm' } },
    'Flux (kustomize.toolkit.fluxcd.io/name: farm)',
  ],
  [
    'Flux, a HelmRelease',
    { labels: { 'helm.toolkit.fluxcd.io/name': 'farm' } },
    'Flux (helm.toolkit.fluxcd.io/name: farm)',
  ],
])('%s keeps it', (_, marks, keeper) => {
  expect(
    keeperOf({ apiVersion: 'bootfarm.io/v1alpha1', kind: 'VDisk', metadata: { name: 'lab', ...marks } } as never),
  ).toBe(keeper);
});
