/** The farm that a word is about. */
import { Refusal } from '../terminal/refusal.ts';
import type { FarmAnswer } from './answers.ts';
import type { Api, Listed, Query, Told } from './api.ts';
import { EXIT, ProblemRefusal } from './exit.ts';
import { namedOf } from './place.ts';

export interface FarmOptions {
  /** `[NAMESPACE/]NAME`. */
  readonly farm?: string;
  readonly namespace?: string;
}

/** A farm, and questions about it. */
export class DeskFarm {
  readonly namespace: string;
  readonly name: string;
  readonly api: Api;

  constructor(api: Api, namespace: string, name: string) {
    this.api = api;
    this.namespace = namespace;
    this.name = name;
  }

  /** `parts`: as they are, not yet escaped. */
  path(...parts: readonly string[]): string {
    return ['', 'farms', this.namespace, this.name, ...parts].map(encodeURIComponent).join('/');
  }

  get<T>(...parts: readonly string[]): Promise<Told<T>> {
    return this.api.get<T>(this.path(...parts));
  }

  /** Of a list that comes as a whole. */
  async whole<T>(part: string): Promise<Listed<T>> {
    return (await this.get<Listed<T>>(part)).value;
  }

  list<T>(parts: readonly string[], query: Query = {}, most?: number): Promise<Listed<T>> {
    return this.api.list<T>(this.path(...parts), query, most);
  }
}

type Named = Pick<FarmAnswer, 'namespace' | 'name'>;

/** What was said of it, as far as nobody need be asked. */
export function judgeFarm({ farm, namespace }: FarmOptions): { readonly name?: string; readonly namespace?: string } {
  const said: Partial<ReturnType<typeof namedOf>> = farm === undefined ? {} : namedOf('--farm', farm);
  if (said.namespace !== undefined && (namespace ?? said.namespace) !== said.namespace)
    throw new Refusal(`--farm ${farm} and --namespace ${namespace} are two namespaces: say one`);
  return { ...said, ...(namespace === undefined ? {} : { namespace }) };
}

/** As it was named; else the only one there is, or the only one of the namespace of the context. */
export async function findFarm(api: Api, options: FarmOptions): Promise<DeskFarm> {
  const { name, namespace } = judgeFarm(options);
  if (name !== undefined && namespace !== undefined) return new DeskFarm(api, namespace, name);
  const farms = await api.list<FarmAnswer>('/farms').catch((thrown: unknown) => {
    throw thrown instanceof ProblemRefusal && thrown.status === EXIT.notAllowed
      ? new Refusal(`say which farm by --farm NAMESPACE/NAME: ${thrown.message}`, EXIT.notAllowed)
      : thrown;
  });
  const found = farmAmong(farms.items, { namespace, name }, api.way.namespace);
  return new DeskFarm(api, found.namespace, found.name);
}

/** `context`: the namespace of the kubeconfig's context, which outweighs others where there are several. Pure. */
export function farmAmong(
  farms: readonly Named[],
  { namespace, name }: { readonly namespace?: string | undefined; readonly name?: string | undefined },
  context: string | undefined,
): Named {
  const full = (farm: Named): string => `${farm.namespace}/${farm.name}`;
  const fit = farms.filter(
    (farm) => (namespace ?? farm.namespace) === farm.namespace && (name ?? farm.name) === farm.name,
  );
  const near = fit.filter((farm) => farm.namespace === context);
  const [only, ...others] = near.length > 0 ? near : fit;
  if (only && others.length === 0) return only;
  const names = (some: readonly Named[]): string => some.map(full).sort().join(', ') || 'there is none';
  if (only) throw new Refusal(`say which farm by --farm NAMESPACE/NAME: ${names(fit)}`);
  const wanted = name === undefined ? 'no farm' : `no farm ${name}`;
  throw new Refusal(
    `there is ${wanted}${namespace === undefined ? '' : ` in namespace ${namespace}`} that you may list: ${names(farms)}`,
  );
}
