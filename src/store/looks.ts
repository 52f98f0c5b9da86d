/**
 * Looks into the folders of stores again and again, each by itself: one that is slow holds up none but itself, and is shown as it was when its last look ended.
 */
import { inTime } from '../kit/patience.ts';
import { type Inventory, type LookOptions, lookInto, noInventory, type Probed } from './inventory.ts';
import type { SeenProperties } from './properties.ts';
import { watchOnce } from './watch.ts';

interface Folder {
  readonly probed: Map<string, Probed>;
  readonly seen: Map<string, SeenProperties>;
  looking?: Promise<void>;
  last?: Inventory;
  /** What was mounted there when it was looked at last. */
  mount?: string | undefined;
  /** How long the last look took, 0 before. */
  tookMs: number;
  /** Of many files: until when it is as it was seen, unless the kernel says that something changed there. */
  restMs: number;
  unwatch?: () => void;
}

/** Which mount is on a folder; undefined: none. */
export type MountOf = () => string | undefined;

/** So long all wait for one: a healthy disk has answered by then, and the next round is due. */
const PATIENCE_MS = 500;
/** Looks that take longer, two in a row, are told. */
const SLOW_MS = 2_000;
/** A look at so many costs a tenth of a second of the main thread: it is done again when something changed, or rarely. */
const MANY_FILES = 5_000;
/** Then it costs a fifth of the time, and a change of which nobody tells is seen within 10 s, as long as a look takes less than half of that. */
const REST_TIMES = 4;
const REST_AND_LOOK_MS = 8_000;

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

  /**
   * As of a look that begins now, or, where that takes longer than all can wait, of the last that ended; undefined: none ended yet. Of a folder that something
   * must be mounted on, `mountOf` says what is: what was seen before that changed is said of nothing, and an empty folder below it is no empty store.
   */
  async into(path: string, mountOf?: MountOf): Promise<Inventory | undefined> {
    const folder: Folder = this.#folders.get(path) ?? { probed: new Map(), seen: new Map(), tookMs: 0, restMs: 0 };
    this.#folders.set(path, folder);
    if (mountOf) {
      const mount = mountOf();
      if (mount !== folder.mount) {
        delete folder.last;
        folder.restMs = 0;
      }
      folder.mount = mount;
      if (mount === undefined) return notMounted(path);
    }
    if (folder.last && this.#now() < folder.restMs) return folder.last;
    folder.looking ??= this.#look(path, folder, mountOf).finally(() => {
      delete folder.looking;
    });
    await inTime(folder.looking, this.#patienceMs);
    return folder.last;
  }

  async #look(path: string, folder: Folder, mountOf: MountOf | undefined): Promise<void> {
    const began = this.#now();
    const mount = mountOf?.();
    // What changes while it looks, it may not have seen.
    let hasChanged = false;
    if (folder.last?.isWatched && folder.last.files.length > MANY_FILES) {
      folder.unwatch?.();
      folder.unwatch = watchOnce(path, () => {
        hasChanged = true;
        folder.restMs = 0;
      });
    }
    const found = await lookInto(path, { ...this.#options, probed: folder.probed, seen: folder.seen });
    if (mountOf?.() !== mount) return;
    const tookMs = this.#now() - began;
    const reached = found.state === 'Accessible' || found.state === 'ReadOnly';
    const message = reached ? slowness(path, Math.min(tookMs, folder.tookMs)) : '';
    folder.last = message ? { ...found, message: [found.message, message].filter(Boolean).join('; ') } : found;
    folder.tookMs = tookMs;
    const restMs = Math.min(REST_TIMES * tookMs, REST_AND_LOOK_MS - tookMs);
    folder.restMs = found.files.length > MANY_FILES && !hasChanged ? this.#now() + restMs : 0;
  }

  /** Idempotent. */
  close(): void {
    for (const { unwatch } of this.#folders.values()) unwatch?.();
  }
}

const notMounted = (path: string): Inventory =>
  noInventory(
    'Unreachable',
    `${path} is not mounted on this node: the mount pod of its Store does that, and the status of the Store says what keeps it`,
  );

/** Empty: it is not slow. In coarse steps (2, 5, 10, 20, … s), so that a store that is always as slow is silent. */
export function slowness(path: string, ms: number): string {
  if (ms < SLOW_MS) return '';
  const seconds = ms / 1_000;
  const power = 10 ** Math.floor(Math.log10(seconds));
  const step = Math.max(...[1, 2, 5].map((digit) => digit * power).filter((value) => value <= seconds));
  return `${path} is slow: a look at its files takes more than ${step} s, and what changes there is seen as late. What is read goes on: check its disk or mount`;
}
