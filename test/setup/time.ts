/** What a test may say of time on a machine that does other things, too. A clock on the wall says how busy the machine was; a bar of speed stands in `npm run bench`. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A machine that is busy all the time makes a deadline so many times as long. */
const LONGEST = 6;

export type Truthy<T> = Exclude<T, false | '' | 0 | null | undefined>;

/** Milliseconds of CPU of this thread that `work` costs. A wait costs nothing: it ends with the test's own deadline. */
export async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.threadCpuUsage();
  await work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

/** Milliseconds since the call in which nobody waited for a CPU (the kernel's pressure stall information, `some`), and at least a sixth of all. */
export function quietClock(): () => number {
  const [begun, waited] = [performance.now(), waitedMs()];
  return () => {
    const ms = performance.now() - begun;
    return Math.max(ms - (waitedMs() - waited), ms / LONGEST);
  };
}

/** Waits until `condition` gives something true, asking each `everyMs`; throws with `what` after the deadline, in milliseconds of the quiet clock. */
export async function until<T>(
  what: string,
  condition: () => Promise<T> | T,
  deadlineMs = 10_000,
  everyMs = 10,
): Promise<Truthy<T>> {
  const passed = quietClock();
  for (let last: unknown; ; ) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
    } catch (thrown) {
      last = thrown;
    }
    if (passed() > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: last });
    await delay(everyMs);
  }
}

/** Of all processes; 0 where the kernel keeps no account of it. */
function waitedMs(): number {
  try {
    return Number(/some .*total=(\d+)/.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1] ?? 0) / 1_000;
  } catch {
    return 0;
  }
}
