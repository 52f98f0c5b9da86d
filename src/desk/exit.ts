/** How the command ends. */
import { Refusal } from '../terminal/refusal.ts';
import type { Problem } from './answers.ts';

/** How `bootfarm` ends: the same numbers as long as it has a name. `docs/desk.md` has them for people. */
export const EXIT = {
  /** It is done; of `status`: all is well. */
  done: 0,
  /** What was typed does not fit, or the farm refused it. */
  refused: 1,
  /** It was answered, and something is not right: of `status`, and of `replication --exit-code`. */
  notRight: 3,
  /** Nobody knows who asks, or they may not. */
  notAllowed: 4,
  /** The cluster, the operator or the farm database did not answer: ask again. */
  noAnswer: 5,
} as const;

/** Of a problem, by its status of HTTP. */
export function exitOf(status: number): number {
  if (status === 401 || status === 403) return EXIT.notAllowed;
  if (status === 429 || status >= 500) return EXIT.noAnswer;
  return EXIT.refused;
}

/** What was asked was refused; `problem` says what is wrong with each value. */
export class ProblemRefusal extends Refusal {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail, exitOf(problem.status));
    this.problem = problem;
  }
}

/** The Kubernetes API answered, and did not do it. */
export class KubeRefusal extends Refusal {
  readonly httpStatus: number;

  constructor(message: string, httpStatus: number) {
    super(message, httpStatus === 401 || httpStatus === 403 ? EXIT.notAllowed : EXIT.noAnswer);
    this.httpStatus = httpStatus;
  }
}
