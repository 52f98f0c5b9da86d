/** A Kubernetes API in memory, as far as reconcilers ask it for single objects: every write counts, a stale resourceVersion is a Conflict. */
import { fail, ok } from '../../src/kit/result.ts';
import type { Client } from '../../src/kube/client.ts';
import type { KubeObject, Target } from '../../src/kube/object.ts';

type Json = Readonly<Record<string, unknown>>;

export class FakeKube {
  readonly objects = new Map<string, KubeObject>();
  /** `create Secret lab-keys`, in order. */
  readonly writes: string[] = [];
  /** Of every Service. */
  clusterIP = '10.96.0.10';
  #version = 0;

  readonly client = {
    close: async () => undefined,
    listAll: async ({ kind }: Target) => ok([...this.objects.values()].filter((object) => object.kind === kind)),
    get: async (target: Target) => {
      const found = this.objects.get(keyOf(target));
      return found ? ok(structuredClone(found)) : fail('NotFound', `${keyOf(target)} not found`);
    },
    create: async (target: Target, body: Json) =>
      this.objects.has(keyOf(target))
        ? fail('AlreadyExists', `${keyOf(target)} exists`)
        : ok(this.#write('create', target, body)),
    patch: async (target: Target, body: Json) => {
      const found = this.objects.get(keyOf(target));
      if (!found) return fail('NotFound', `${keyOf(target)} not found`);
      const { resourceVersion } = (body['metadata'] ?? {}) as { readonly resourceVersion?: string };
      if (resourceVersion !== undefined && resourceVersion !== found.metadata.resourceVersion)
        return fail('Conflict', `${keyOf(target)} was changed`);
      return ok(this.#write('patch', target, merged(found as unknown as Json, body)));
    },
    apply: async (target: Target, body: Json) =>
      ok(this.#write('apply', target, merged((this.objects.get(keyOf(target)) ?? {}) as Json, body))),
  } as unknown as Client;

  #write(verb: string, target: Target, body: Json): KubeObject {
    this.writes.push(`${verb} ${target.kind} ${target.name}`);
    const { kind, name, namespace } = target;
    const metadata = {
      ...(body['metadata'] as Json | undefined),
      name,
      namespace,
      resourceVersion: `${++this.#version}`,
    };
    const spec = kind === 'Service' ? { ...(body['spec'] as Json), clusterIP: this.clusterIP } : body['spec'];
    const object = { ...body, kind, ...(spec === undefined ? {} : { spec }), metadata } as unknown as KubeObject;
    this.objects.set(keyOf(target), object);
    return structuredClone(object);
  }
}

const keyOf = ({ kind, namespace, name }: Target): string => `${kind} ${namespace}/${name}`;

/** RFC 7386. */
function merged(before: Json, patch: Json): Json {
  const result: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else if (isObject(value)) result[name] = merged(isObject(result[name]) ? result[name] : {}, value);
    else result[name] = value;
  }
  return result;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
