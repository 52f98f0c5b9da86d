/** A list in parts of at most `size`: what grows with the farm is not to be one statement, nor one command. Pure. */
export function* slices<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}
