/** What is looked at once, or again and again until who looks has seen enough. */
import { setTimeout as delay } from 'node:timers/promises';
import { Refusal } from './refusal.ts';
import type { Terminal } from './terminal.ts';

export const WATCH_MS = 2_000;

export interface Looked {
  readonly text: string;
  /** For standard error. */
  readonly note: string;
  /** What of it is news: how long ago something was is none. */
  readonly news: string;
}

interface Terms {
  readonly isWatched: boolean;
  readonly everyMs?: number;
  readonly left: () => AbortSignal;
}

/** The last look. A screen is drawn anew at each that looks otherwise; elsewhere each that has news follows the one before. */
export async function watched<Look extends Looked>(
  terminal: Terminal,
  look: () => Promise<Look>,
  { isWatched, everyMs = WATCH_MS, left }: Terms,
): Promise<Look> {
  let last = await look();
  show(terminal, last, isWatched);
  if (isWatched)
    for await (const looked of changes(look, last, left(), everyMs, terminal)) {
      show(terminal, looked, true);
      last = looked;
    }
  return last;
}

/** Each look that says something else than the one before; one that fails is said once, and the next is tried. */
async function* changes<Look extends Looked>(
  look: () => Promise<Look>,
  first: Look,
  left: AbortSignal,
  everyMs: number,
  terminal: Terminal,
): AsyncGenerator<Look> {
  const keyOf = ({ text, note, news }: Look): string => (isScreen(terminal) ? `${text}${note}` : news);
  let shown: Look | string = first;
  for (;;) {
    await delay(everyMs, undefined, { signal: left }).catch(() => undefined);
    if (left.aborted) return;
    try {
      const looked = await look();
      if (typeof shown === 'string' || keyOf(looked) !== keyOf(shown)) yield looked;
      shown = looked;
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      if (thrown.message !== shown) terminal.err(`${thrown.message}\n`);
      shown = thrown.message;
    }
  }
}

/** From the top of the screen, which is empty then. */
const REDRAW = '\u001b[H\u001b[2J';

const isScreen = ({ columns }: Terminal): boolean => columns !== undefined;

function show(terminal: Terminal, { text, note }: Looked, isWatched: boolean): void {
  terminal.out(`${isWatched && isScreen(terminal) ? REDRAW : ''}${text}`);
  if (note) terminal.err(note);
}
