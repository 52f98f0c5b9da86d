/**
 * Liveness by the threads' turns: pure. Each thread adds to a cell in shared memory as it turns; who looks needs nothing else of it, no clock and no
 * answer, so a thread that is busy is not taken for one that is dead.
 */
export interface Thread {
  readonly name: string;
  /** How long its cell may stand still. */
  readonly patienceMs: number;
  /** Shared memory; `cells[at]` grows with each turn. */
  readonly cells: Float64Array;
  readonly at: number;
}

export interface Turn {
  readonly seen: number;
  readonly stillMs: number;
}

/** How often cells are looked at. */
export const LOOK_MS = 500;

/** `elapsedMs` since the look before; of more than two looks no more counts, because then the whole process stood still and each thread gets its turn first. */
export const looked = (turn: Turn | undefined, seen: number, elapsedMs: number): Turn =>
  turn?.seen === seen ? { seen, stillMs: turn.stillMs + Math.min(elapsedMs, 2 * LOOK_MS) } : { seen, stillMs: 0 };

export const isStuck = ({ patienceMs }: Thread, turn: Turn | undefined): boolean =>
  turn !== undefined && turn.stillMs > patienceMs;
