/** A desk at which nobody asks anything, but for what a test puts in its place. */
import type { Desk } from '../../src/desk/desk.ts';
import { fakeTerminal } from './terminal.ts';

const nobody = async (): Promise<never> => {
  throw new Error('nobody asks');
};

export const fakeDesk = (more: Partial<Desk>): Desk => ({
  terminal: fakeTerminal().terminal,
  input: { readAll: async () => '', file: async () => '', bytes: async function* () {} },
  wayTo: nobody,
  runIn: nobody,
  give: async () => undefined,
  pause: async () => undefined,
  now: Date.now,
  left: () => AbortSignal.abort(),
  watchMs: 1,
  browse: () => undefined,
  ...more,
});
