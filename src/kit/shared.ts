/** One answer for all who ask at about the same time: made once, shared while it is made and for `freshMs` after. What it costs does not grow with who asks. */
export function shared<T>(
  make: () => Promise<T>,
  freshMs: number,
  now: () => number = () => performance.now(),
): () => Promise<T> {
  let answer: Promise<T> | undefined;
  let freshUntil = Number.POSITIVE_INFINITY;
  return () => {
    if (answer && now() <= freshUntil) return answer;
    freshUntil = Number.POSITIVE_INFINITY;
    answer = make();
    const settled = (): void => {
      freshUntil = now() + freshMs;
    };
    answer.then(settled, settled);
    return answer;
  };
}
