/** Reviews wait for each other: so many at one time, and who asks for more waits behind itself, not before others. */
import type { Result } from '../kit/result.ts';
import { Turns } from '../net/turns.ts';
import { REVIEWS_AT_ONCE, REVIEWS_WAITING } from './limits.ts';
import { type Problem, problem } from './problem.ts';

type Reviewed<T> = Promise<Result<T, Problem>>;

export class ReviewQueue {
  /** When too many wait, the oldest of whoever has the most goes. */
  readonly #waiting = new Turns<(isItsTurn: boolean) => void>(REVIEWS_WAITING);
  #running = 0;

  /** `source`: a user, or the address of who is not known yet. */
  async run<T>(source: string, review: () => Reviewed<T>): Reviewed<T> {
    if (this.#running < REVIEWS_AT_ONCE) this.#running += 1;
    else if (!(await this.#turn(source)))
      return problem(
        'ReviewsAway',
        `more than ${REVIEWS_WAITING} reviews wait for the Kubernetes API, and ${source} has the most of them: ask again`,
      );
    return review().finally(() => this.#next());
  }

  #turn(source: string): Promise<boolean> {
    return new Promise((go) => this.#waiting.push(source, go)?.(false));
  }

  /** The place of one that ended goes to the source whose turn it is. */
  #next(): void {
    const go = this.#waiting.shift();
    if (go) go(true);
    else this.#running -= 1;
  }
}
