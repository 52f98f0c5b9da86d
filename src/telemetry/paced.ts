/** A log line that packets of strangers cause: at once, then once an interval with how many there were, so that no flood fills a disk. */
import type { Logger } from './log.ts';

/** A person who looks sees it soon, and a year of flood is a few hundred MiB. */
export const PACED_LOG_MS = 10_000;

type Tell = Logger['warn'];
export type Paced = (fields: Parameters<Tell>[0]) => void;

/** `message` by `tell`, a method of a logger. `more` counts the lines that were not told since the one before. */
export function paced(tell: Tell, message: string, now: () => number = () => performance.now()): Paced {
  let toldMs = Number.NEGATIVE_INFINITY;
  let more = 0;
  return (fields) => {
    const nowMs = now();
    if (nowMs - toldMs < PACED_LOG_MS) {
      more += 1;
      return;
    }
    tell(more === 0 ? fields : { ...fields, more }, message);
    toldMs = nowMs;
    more = 0;
  };
}
