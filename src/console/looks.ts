/** What is no part of the stream of changes is asked for again and again. */
import { useEffect } from 'preact/hooks';
import type { FarmData } from './farmdata.ts';

interface Pace {
  /** Until the next question, ms: while something moves, and else. */
  readonly moving: number;
  readonly standing: number;
}

/** While the connection is live; anew when one of `about` is another. `look` says whether something moves, and throws nothing. */
export function useLooks(
  data: FarmData,
  look: (signal: AbortSignal) => Promise<boolean>,
  pace: Pace,
  about: readonly unknown[],
): void {
  const link = data.link.value.state;
  useEffect(() => {
    if (link !== 'live') return undefined;
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = async (): Promise<void> => {
      const isMoving = await look(ended.signal);
      if (!ended.signal.aborted) timer = setTimeout(turn, isMoving ? pace.moving : pace.standing);
    };
    void turn();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, [data, link, ...about]);
}
