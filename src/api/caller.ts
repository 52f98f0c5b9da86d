/** Who asks: what a bearer token or a client certificate of the cluster says, as the Kubernetes API takes it. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Budget } from '../kit/budget.ts';
import { ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { all, type KubeObject } from '../kube/object.ts';
import { Kept } from './kept.ts';
import { UNKNOWN_TOKENS } from './limits.ts';
import { type Problem, problem } from './problem.ts';
import { ReviewQueue } from './queue.ts';

export interface Caller {
  readonly username: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What TLS proved of a client, as Node gives it. */
export interface ClientCertificate {
  readonly authorized: boolean;
  /** Why not. */
  readonly reason: string;
  readonly subject: { readonly CN?: string | readonly string[]; readonly O?: string | readonly string[] };
  /** Unix ms. */
  readonly notAfter: number;
}

/** A review is kept so long at most, whatever it says; and asked for so long. */
export const REVIEW_LIFE_MS = 5_000;
export const REVIEW_TIMEOUT_MS = 5_000;
const TOKENS = { lifeMs: REVIEW_LIFE_MS, most: 4_096 };
const REFUSED = { lifeMs: REVIEW_LIFE_MS, most: 1_024 };
/** Of a token: longer ones are none. The header of a request has 8 KiB. */
const MAX_TOKEN = 8_192;

const TOKEN_REVIEWS = all({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', plural: 'tokenreviews' });

interface TokenReview extends KubeObject {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly error?: string;
    readonly user?: {
      readonly username?: string;
      readonly uid?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

type Answer = Result<Caller, Problem>;

/** Tokens are asked of the API server for audiences of its own: one that was made for somebody else is no login here. */
export class Callers {
  readonly #client: Pick<Client, 'create'>;
  readonly #queue: ReviewQueue;
  /** By digest: no token lies in this memory longer than its request. */
  readonly #kept = new Kept<Answer>(TOKENS, ({ ok: isKnown }) => isKnown);
  /** What the API server refused, apart: random tokens push nobody's real one out. */
  readonly #refused = new Kept<Answer>(REFUSED, (answer) => !answer.ok && answer.error.code === 'Unauthenticated');
  /** By address; whose token was known lately spends nothing, so that a storm from the same address keeps nobody out. */
  readonly #unknown = new Budget(UNKNOWN_TOKENS);

  constructor(client: Pick<Client, 'create'>, queue = new ReviewQueue()) {
    this.#client = client;
    this.#queue = queue;
  }

  /** A token outweighs a certificate: who gives one wants to be that. */
  async of(
    authorization: string | undefined,
    certificate: ClientCertificate | undefined,
    address: string,
  ): Promise<Answer> {
    if (authorization !== undefined) {
      const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
      if (token === undefined || token.length > MAX_TOKEN)
        return problem(
          'Unauthenticated',
          `the header Authorization is no bearer token of at most ${MAX_TOKEN} characters: send \`Bearer TOKEN\`, as \`kubectl create token\` gives it`,
        );
      return this.#ofToken(token, address);
    }
    if (certificate) return callerOfCertificate(certificate, Date.now());
    return problem(
      'Unauthenticated',
      'send a bearer token of the cluster (`kubectl create token`), or a client certificate that its client CA signed',
    );
  }

  #ofToken(token: string, address: string): Promise<Answer> {
    const key = createHash('sha256').update(token).digest('hex');
    const isHeard = this.#kept.ageMs(key) < Number.POSITIVE_INFINITY || this.#refused.ageMs(key) < REVIEW_LIFE_MS;
    if (!isHeard && !this.#unknown.spend(address, performance.now()))
      return Promise.resolve(
        problem(
          'TooMany',
          `more than ${UNKNOWN_TOKENS.perSecond} tokens a second that are not known come from ${address}: ask again`,
        ),
      );
    const review = () => this.#queue.run(address, () => this.#review(token));
    return this.#kept.of(key, () => this.#refused.of(key, review));
  }

  async #review(token: string): Promise<Answer> {
    const answer = await this.#client.create<TokenReview>(
      TOKEN_REVIEWS,
      { spec: { token } },
      { timeoutMs: REVIEW_TIMEOUT_MS },
    );
    if (!answer.ok) return problem('ReviewsAway', `the token was not judged: ${answer.error.message}. Ask again`);
    const { authenticated, error, user } = answer.value.status ?? {};
    if (!authenticated || !user?.username)
      return problem(
        'Unauthenticated',
        `the Kubernetes API does not know the token${error ? `: ${error}` : ''}. It has expired, or is for another audience or cluster: take a new one`,
      );
    const { username, groups = [], uid, extra } = user;
    return ok({ username, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) });
  }
}

/** The name of a header by which a proxy asks in somebody's place: without it the question would be the proxy's own. Pure. */
export const impersonation = (headers: IncomingHttpHeaders): string | undefined =>
  Object.keys(headers).find((name) => name.startsWith('impersonate-'));

const list = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** As the API server reads one: the common name is the user, each organization a group. Pure. */
export function callerOfCertificate(
  { authorized, reason, subject, notAfter }: ClientCertificate,
  nowMs: number,
): Answer {
  if (!authorized)
    return problem(
      'Unauthenticated',
      `the client certificate is not of this cluster's client CA (${reason}): use one of a kubeconfig of this cluster, or a token`,
    );
  // A connection may outlive its certificate.
  if (notAfter <= nowMs)
    return problem('Unauthenticated', `the client certificate ended at ${new Date(notAfter).toISOString()}: renew it`);
  const username = list(subject.CN).at(-1);
  if (!username) return problem('Unauthenticated', 'the client certificate has no common name, which says who asks');
  return ok({ username, groups: [...list(subject.O), 'system:authenticated'] });
}
