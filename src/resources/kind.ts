/** A kind: its schema, its names, its columns. `crd.ts` makes the CRD of it, `parse.ts` the check. */
import type { Static, TSchema } from 'typebox';

export const GROUP = 'bootfarm.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** A column of `kubectl get`. Ready comes first, message and Age last: they are the same for all kinds. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly path: string;
  readonly description: string;
  /** 1 = only with `-o wide`. */
  readonly priority?: 1;
}

export interface KindDefinition<Name extends string, Spec extends TSchema, Status extends TSchema> {
  readonly kind: Name;
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: Spec;
  readonly status: Status;
  readonly columns: readonly Column[];
  readonly scale?: { readonly specPath: string; readonly statusPath: string; readonly selectorPath: string };
}

export const defineKind = <const Name extends string, Spec extends TSchema, Status extends TSchema>(
  definition: KindDefinition<Name, Spec, Status>,
): KindDefinition<Name, Spec, Status> => definition;

/** Read-only all the way down: what comes from the API is a snapshot. */
export type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** The part of `metadata` that bootfarm reads; the same shape that the engine in `kube` knows. */
export interface ResourceMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
}

/** A resource as it comes from the API. Before the first reconcile status holds `observedGeneration: -1` alone. */
export interface Resource<Name extends string, Spec, Status> {
  readonly apiVersion: string;
  readonly kind: Name;
  readonly metadata: ResourceMeta;
  readonly spec: Spec;
  readonly status: Status;
}

/** The TypeScript type of a kind's resources. */
export type ResourceOf<Definition> =
  Definition extends KindDefinition<infer Name, infer Spec, infer Status>
    ? Resource<Name, Frozen<Static<Spec>>, Frozen<Static<Status>>>
    : never;
