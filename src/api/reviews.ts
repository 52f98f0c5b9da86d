/** Who may do what: SubjectAccessReviews on virtual resources of group `api.bootfarm.io` in the farm's namespace. */
import { createHash } from 'node:crypto';
import { ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { all, type KubeObject } from '../kube/object.ts';
import { type Caller, REVIEW_LIFE_MS, REVIEW_TIMEOUT_MS } from './caller.ts';
import { Kept } from './kept.ts';
import { REVIEWS_AT_ONCE } from './limits.ts';
import { type Problem, problem } from './problem.ts';
import { ReviewQueue } from './queue.ts';

export const API_GROUP = 'api.bootfarm.io';

/** Each has a line in the roles of the chart (`charts/bootfarm/templates/api-roles.yaml`); a test compares. */
export const RESOURCES = [
  'farms',
  'servers',
  'vdisks',
  'stores',
  'devices',
  'sessions',
  'boots',
  'unknownmachines',
  'rollbacks',
  'audit',
] as const;
export type Resource = (typeof RESOURCES)[number];
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface Question {
  readonly namespace: string;
  readonly resource: Resource | 'streamingservers';
  readonly verb: Verb;
  /** Absent: ours. `bootfarm.io`: of the resource itself. */
  readonly group?: string;
}

/** 512 collections of a farm, each asked for by a hundred callers who are bound to one. */
const REVIEWS = { lifeMs: REVIEW_LIFE_MS, most: 65_536 };

const ACCESS_REVIEWS = all({
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SubjectAccessReview',
  plural: 'subjectaccessreviews',
});

interface AccessReview extends KubeObject {
  readonly status?: { readonly allowed?: boolean };
}

type Allowed = Result<boolean, Problem>;

export class Reviews {
  readonly #client: Pick<Client, 'create'>;
  readonly #queue: ReviewQueue;
  readonly #kept = new Kept<Allowed>(REVIEWS, (answer) => answer.ok);

  constructor(client: Pick<Client, 'create'>, queue = new ReviewQueue()) {
    this.#client = client;
    this.#queue = queue;
  }

  /** `name`: absent asks for all of the kind. */
  may(caller: Caller, question: Question, name = ''): Promise<Allowed> {
    const { namespace, resource, verb, group = API_GROUP } = question;
    const key = createHash('sha256')
      .update(JSON.stringify([caller, namespace, group, resource, verb, name]))
      .digest('base64');
    return this.#kept.of(key, () => this.#queue.run(caller.username, () => this.#review(caller, question, name)));
  }

  /** Those of these names that the caller may, by a review a name. */
  async among(
    caller: Caller,
    question: Question,
    names: readonly string[],
  ): Promise<Result<ReadonlySet<string>, Problem>> {
    const allowed = new Set<string>();
    for (let at = 0; at < names.length; at += REVIEWS_AT_ONCE) {
      const some = names.slice(at, at + REVIEWS_AT_ONCE);
      const answers = await Promise.all(some.map((name) => this.may(caller, question, name)));
      for (const [index, answer] of answers.entries()) {
        if (!answer.ok) return answer;
        if (answer.value) allowed.add(some[index] ?? '');
      }
    }
    return ok(allowed);
  }

  async #review(
    caller: Caller,
    { namespace, resource, verb, group = API_GROUP }: Question,
    name: string,
  ): Promise<Allowed> {
    const { username: user, ...more } = caller;
    const resourceAttributes = {
      group,
      version: group === API_GROUP ? 'v1' : '*',
      resource,
      verb,
      namespace,
      ...(name ? { name } : {}),
    };
    const answer = await this.#client.create<AccessReview>(
      ACCESS_REVIEWS,
      { spec: { user, ...more, resourceAttributes } },
      { timeoutMs: REVIEW_TIMEOUT_MS },
    );
    if (!answer.ok)
      return problem(
        'ReviewsAway',
        `it was not judged whether ${user} may ${verb} ${resource}: ${answer.error.message}. Ask again`,
      );
    return ok(answer.value.status?.allowed === true);
  }
}

/** What a caller may see or change of what belongs to collections: all of it, or that of some collections. */
export interface Scope {
  /** Every collection, and devices of none that the farm has. */
  readonly isWhole: boolean;
  includes(collection: string): Promise<Allowed>;
  /** Those of the farm that it includes. */
  collections(): Promise<Result<ReadonlySet<string>, Problem>>;
}

export const WHOLE: Scope = {
  isWhole: true,
  includes: async () => ok(true),
  collections: async () => ok(new Set()),
};

/** `known`: the collections of the farm, at most 512 (`spec.collections`). `wanted`: the only one that is asked for. */
export const scopeOf = (
  reviews: Reviews,
  caller: Caller,
  question: Question,
  known: readonly string[],
  wanted?: string,
): Scope => ({
  isWhole: false,
  includes: async (collection) => (known.includes(collection) ? reviews.may(caller, question, collection) : ok(false)),
  async collections() {
    const one = await reviews.among(
      caller,
      question,
      known.filter((name) => name === wanted),
    );
    return one.ok && one.value.size === 0 ? reviews.among(caller, question, known) : one;
  },
});

export const forbidden = (
  caller: Caller,
  { namespace, resource, verb, group = API_GROUP }: Question,
  of = '',
): Result<never, Problem> =>
  problem(
    'Forbidden',
    `${caller.username} may not ${verb} ${resource}${of} in namespace ${namespace}: ask its administrator for a RoleBinding to a ClusterRole of the chart; \`kubectl auth can-i ${verb} ${resource}.${group} -n ${namespace}\` says the same`,
  );
