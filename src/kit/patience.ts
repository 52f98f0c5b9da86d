/** What `work` comes to; undefined when that is not known within `ms`. What is waited for goes on: who gave up sees to what it brings. */
export async function inTime<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ms, undefined);
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
