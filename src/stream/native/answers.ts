/**
 * Answers on their way out. Those of one recvmmsg leave together, four in a sendmmsg: over a veth that is 4 % less CPU than one sendmsg each (0.289
 * beside 0.300 s/GB, 15 rounds in turns), and eight are no better. What cannot leave so (a destination for which the kernel does not cut, an answer of
 * several sends) leaves at once, by itself.
 */
import { ANSWER_FLAGS, Answer, type Hot, MESSAGE_BYTES } from './answer.ts';
import type { Native } from './sodium.ts';

const TOGETHER = 4;

export class Answers {
  readonly #libc: Native;
  readonly #fd: number;
  readonly #answers: readonly Answer[];
  readonly #first: Answer;
  /** `struct mmsghdr` of each answer. */
  readonly #messagesAt: number;
  #queued = 0;

  constructor(libc: Native, fd: number, authenticated: boolean, counters: Float64Array) {
    this.#libc = libc;
    this.#fd = fd;
    const messages = Buffer.from(new ArrayBuffer(TOGETHER * MESSAGE_BYTES));
    this.#messagesAt = libc.addressOf(messages);
    const full = { untilMs: 0 };
    this.#first = new Answer(libc, fd, authenticated, counters, messages, 0, full);
    const others = Array.from(
      { length: TOGETHER - 1 },
      (_, index) => new Answer(libc, fd, authenticated, counters, messages, index + 1, full),
    );
    this.#answers = [this.#first, ...others];
  }

  /** Where the next answer is put; `send` takes it from there. */
  get next(): Answer {
    return this.#answers[this.#queued] ?? this.#first;
  }

  /** Sends `length` bytes of `next` as the next answer of the session, at the latest with `flush`. */
  send(hot: Hot, length: number): void {
    const answer = this.next;
    answer.seal(hot, length);
    if (answer.isOneSend) {
      this.#queued++;
      if (this.#queued === this.#answers.length) this.flush();
      return;
    }
    this.flush();
    answer.send();
  }

  /** What the kernel does not take together is sent again by itself, which waits, or finds out why. */
  flush(): void {
    const queued = this.#queued;
    this.#queued = 0;
    for (let first = 0; first < queued; ) {
      const at = this.#messagesAt + first * MESSAGE_BYTES;
      const sent = this.#libc.sendmmsg(this.#fd, at, queued - first, ANSWER_FLAGS);
      if (sent > 0) first += sent;
      else {
        this.#answers[first]?.send();
        first++;
      }
    }
  }
}
