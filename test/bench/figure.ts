/** One measured figure, printed as one JSON line. */
export interface Figure {
  readonly bench: string;
  /** `serverCpuSecondsPerGB`; other points of it get suffixes: `serverCpuSecondsPerGB.4k.d1`. */
  readonly figure: string;
  readonly unit: string;
  readonly value: number;
  /** The better of the peers measured in the same run. */
  readonly peer?: string;
  readonly peerValue?: number;
  /** value / peerValue. */
  readonly ratio?: number;
  /** What the ratio may be at most; without a peer, the value. */
  readonly bar?: number;
  readonly pass?: boolean;
}

export interface RunOptions {
  /** Instead of the bench's own number of them: for a first look. */
  readonly rounds?: number;
  /** These of its parts alone, where it has parts with names: the faults of `failover`. */
  readonly only?: readonly string[];
  /** The size of its image, GiB, where it has one to choose. */
  readonly gib?: number;
}

/** A bench module's one export. It prints what it runs (command lines, rounds) to standard error. */
export type Run = (options?: RunOptions) => AsyncIterable<Figure>;

/** Adds ratio and verdict, and rounds to what is worth reading. */
export function figure(
  { bench, figure: name, unit, value }: Pick<Figure, 'bench' | 'figure' | 'unit' | 'value'>,
  peer?: { readonly name: string; readonly value: number },
  bar?: number,
): Figure {
  const plain = { bench, figure: name, unit, value: round(value) };
  if (!peer) return bar === undefined ? plain : { ...plain, bar, pass: value <= bar };
  const ratio = value / peer.value;
  const compared = { ...plain, peer: peer.name, peerValue: round(peer.value), ratio: round(ratio) };
  return bar === undefined ? compared : { ...compared, bar, pass: ratio <= bar };
}

const round = (value: number): number => Number(value.toPrecision(4));

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}
