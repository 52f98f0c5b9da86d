/**
 * Looks into the folders of stores again and again, each by itself: one that is slow holds up none but itself, and is shown as it was when its last look ended.
 */
import { inTime } from '../kit/patience.ts';
import { type Inventory, type LookOptions, lookInto, type Probed } from './inventory.ts';
import type { SeenProperties } from './properties.ts';

interface Folder {
  readonly probed: Map<string, Probed>;
  readonly seen: Map<string, SeenProperties>;
  looking?: Promise<void>;
  last?: Inventory;
  /** How long the last look took, 0 before. */
  tookMs: number;
}

/** So long all wait for one: a healthy disk has answered by then, and the next round is due. */
const PATIENCE_MS = 500;
/** Looks that take longer, two in a row, are told. */
const SLOW_MS = 2_000;

export class Looks {
  readonly #folders = new Map<string, Folder>();
  readonly #options: Omit<LookOptions, 'probed' | 'seen'>;
  readonly #patienceMs: number;
  readonly #now: () => number;

  constructor(
    options: Omit<LookOptions, 'probed' | 'seen'> = {},
    patienceMs = PATIENCE_MS,
    now = () => performance.now(),
  ) {
    this.#options = options;
    this.#patienceMs = patienceMs;
    this.#now = now;
  }

  /** As of a look that begins now, or, where that takes longer than all can wait, of the last that ended; undefined: none ended yet. */
  async into(path: string): Promise<Inventory | undefined> {
    const folder: Folder = this.#folders.get(path) ?? { probed: new Map(), seen: new Map(), tookMs: 0 };
    this.#folders.set(path, folder);
    folder.looking ??= this.#look(path, folder).finally(() => {
      delete folder.looking;
    });
    await inTime(folder.looking, this.#patienceMs);
    return folder.last;
  }

  async #look(path: string, folder: Folder): Promise<void> {
    const began = this.#now();
    const found = await lookInto(path, { ...this.#options, probed: folder.probed, seen: folder.seen });
    const tookMs = this.#now() - began;
    const reached = found.state === 'Accessible' || found.state === 'ReadOnly';
    const message = reached ? slowness(path, Math.min(tookMs, folder.tookMs)) : '';
    folder.last = message ? { ...found, message } : found;
    folder.tookMs = tookMs;
  }
}

/** Empty: it is not slow. In coarse steps (2, 5, 10, 20, … s), so that a store that is always as slow is silent. */
export function slowness(path: string, ms: number): string {
  if (ms < SLOW_MS) return '';
  const seconds = ms / 1_000;
  const power = 10 ** Math.floor(Math.log10(seconds));
  const step = Math.max(...[1, 2, 5].map((digit) => digit * power).filter((value) => value <= seconds));
  return `${path} is slow: a look at its files takes more than ${step} s, and what changes there is seen as late. What is read goes on: check its disk or mount`;
}
