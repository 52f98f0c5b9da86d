/** The CustomResourceDefinition of a kind: the schema as it is, in the frame that the API server wants. */
import type { TSchema } from 'typebox';
import { type Column, GROUP, type KindDefinition, VERSION } from './kind.ts';
import { DNS_LABEL, rule, WRITTEN } from './schema.ts';

export type AnyKind = KindDefinition<string, TSchema, TSchema>;

const NAME = rule(
  `self.metadata.name.matches('${DNS_LABEL}')`,
  'the name becomes a label and a part of host names: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends',
);

/**
 * For what holds farms: it stays when the operator is uninstalled, pruned, or deleted with its application. Each tool has its own word for
 * that: Helm, Flux, Argo CD.
 */
export const KEPT: Readonly<Record<string, string>> = {
  'helm.sh/resource-policy': 'keep',
  'kustomize.toolkit.fluxcd.io/prune': 'disabled',
  'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
};

const column = ({ name, type, path, description, priority }: Column): object => ({
  name,
  type,
  jsonPath: path,
  description,
  ...(priority ? { priority } : {}),
});

const ready = '.status.conditions[?(@.type=="Ready")]';

function columns(kind: AnyKind): object[] {
  const all: readonly Column[] = [
    { name: 'Ready', type: 'string', path: `${ready}.status`, description: 'Whether it serves' },
    ...kind.columns,
    { name: 'Message', type: 'string', path: `${ready}.message`, description: 'Why', priority: 1 },
    { name: 'Age', type: 'date', path: '.metadata.creationTimestamp', description: 'Since when it is there' },
  ];
  return all.map(column);
}

const schemaOf = (kind: AnyKind): object => ({
  type: 'object',
  description: kind.description,
  required: ['spec'],
  'x-kubernetes-validations': [NAME],
  properties: {
    apiVersion: { type: 'string', description: 'Group and version of this kind.' },
    kind: { type: 'string', description: `${kind.kind}.` },
    metadata: { type: 'object', properties: { name: { type: 'string', maxLength: 63 } } },
    spec: kind.spec,
    status: { ...kind.status, default: { observedGeneration: -1 }, [WRITTEN]: true },
  },
});

/**
 * What is there by default may be left out, and the API server fills in only what is `WRITTEN`. It drops an empty map of properties, and who compares
 * what was written with what is there would see a change for ever.
 */
function asRead(this: object, key: string, value: unknown): unknown {
  if (key === 'default') return WRITTEN in this ? value : undefined;
  if (key === WRITTEN) return undefined;
  if (key === 'properties') return Object.keys(value as object).length === 0 ? undefined : value;
  if (key !== 'required' || !Array.isArray(value) || !('properties' in this)) return value;
  const fields = this.properties as Readonly<Record<string, object>>;
  const needed = value.filter((name) => !('default' in (fields[name] ?? {})));
  return needed.length === 0 ? undefined : needed;
}

/** Plain data, in the order that the file shows and as the API server gives it back. */
export function crdOf(kind: AnyKind): object {
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}`, annotations: KEPT },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        ...(kind.shortName === kind.kind.toLowerCase() ? {} : { shortNames: [kind.shortName] }),
        categories: ['bootfarm'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: columns(kind),
          subresources: {
            status: {},
            ...(kind.scale
              ? {
                  scale: {
                    specReplicasPath: kind.scale.specPath,
                    statusReplicasPath: kind.scale.statusPath,
                    labelSelectorPath: kind.scale.selectorPath,
                  },
                }
              : {}),
          },
          schema: { openAPIV3Schema: schemaOf(kind) },
        },
      ],
    },
  };
  return JSON.parse(JSON.stringify(crd, asRead)) as object;
}
