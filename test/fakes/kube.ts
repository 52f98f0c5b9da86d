/** A Kubernetes API in memory, as far as reconcilers ask it for single objects: every write counts, a stale resourceVersion is a Conflict. */
import { fail, ok, type Result } from '../../src/kit/result.ts';
import type { Client } from '../../src/kube/client.ts';
import type { ApiFault, ApiFaultCode } from '../../src/kube/fault.ts';
import type { KubeObject, Target } from '../../src/kube/object.ts';

type Json = Readonly<Record<string, unknown>>;

export class FakeKube {
  readonly objects = new Map<string, KubeObject>();
  /** `get Secret lab-keys`, in order: what was asked, writes too. */
  readonly requests: string[] = [];
  /** `create Secret lab-keys`, in order: what was written. */
  readonly writes: string[] = [];
  /** Of every Service. */
  clusterIP = '10.96.0.10';
  readonly #faults = new Map<string, ApiFaultCode>();
  #version = 0;

  /** These requests, named as in `requests`, fail from now on; undefined: no more. */
  failWith(code: ApiFaultCode | undefined, ...requests: readonly string[]): void {
    for (const request of requests) {
      if (code === undefined) this.#faults.delete(request);
      else this.#faults.set(request, code);
    }
  }

  readonly client = {
    close: async () => undefined,
    listAll: async ({ kind }: Target) => ok([...this.objects.values()].filter((object) => object.kind === kind)),
    get: async (target: Target) => {
      const fault = this.#asked('get', target);
      if (fault) return fault;
      const found = this.objects.get(keyOf(target));
      return found ? ok(structuredClone(found)) : fail('NotFound', `${keyOf(target)} not found`);
    },
    create: async (target: Target, body: Json) =>
      this.#asked('create', target) ??
      (this.objects.has(keyOf(target))
        ? fail('AlreadyExists', `${keyOf(target)} exists`)
        : ok(this.#write('create', target, body))),
    patch: async (target: Target, body: Json) => {
      const fault = this.#asked('patch', target);
      if (fault) return fault;
      const found = this.objects.get(keyOf(target));
      if (!found) return fail('NotFound', `${keyOf(target)} not found`);
      const { resourceVersion } = (body['metadata'] ?? {}) as { readonly resourceVersion?: string };
      if (resourceVersion !== undefined && resourceVersion !== found.metadata.resourceVersion)
        return fail('Conflict', `${keyOf(target)} was changed`);
      return ok(this.#write('patch', target, merged(found as unknown as Json, body)));
    },
    apply: async (target: Target, body: Json) =>
      this.#asked('apply', target) ??
      ok(this.#write('apply', target, merged((this.objects.get(keyOf(target)) ?? {}) as Json, body))),
    delete: async (target: Target) => {
      const fault = this.#asked('delete', target);
      if (fault) return fault;
      if (!this.objects.delete(keyOf(target))) return fail('NotFound', `${keyOf(target)} not found`);
      this.writes.push(nameOf('delete', target));
      return ok(undefined);
    },
  } as unknown as Client;

  #asked(verb: string, target: Target): Result<never, ApiFault> | undefined {
    const request = nameOf(verb, target);
    this.requests.push(request);
    const code = this.#faults.get(request);
    return code && fail(code, `${request}: ${code}`);
  }

  #write(verb: string, target: Target, body: Json): KubeObject {
    this.writes.push(nameOf(verb, target));
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

const nameOf = (verb: string, { kind, name }: Target): string => `${verb} ${kind} ${name}`;
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
