/** A terminal that remembers what a command said, and whether it failed. */
import type { Terminal } from '../../src/terminal/terminal.ts';

export interface Said {
  out: string;
  err: string;
  failed: boolean;
  status: number;
}

/** `heard`: each text for standard error, as it comes. `columns`: of its screen. */
export function fakeTerminal(
  heard: (text: string) => void = () => undefined,
  columns?: number,
): { said: Said; terminal: Terminal } {
  const said = { out: '', err: '', failed: false, status: 0 };
  const terminal: Terminal = {
    isWatched: false,
    ...(columns === undefined ? {} : { columns }),
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
      heard(text);
    },
    stepBack: () => undefined,
    fail: (status = 1) => {
      said.status = status;
      said.failed = true;
    },
  };
  return { said, terminal };
}
