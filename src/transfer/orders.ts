/** What is said between a transfer and its threads. */
export interface WorkerOptions {
  readonly shape: { readonly sizeBytes: number; readonly chunkBytes: number };
  readonly digests: Uint8Array<SharedArrayBuffer>;
  readonly zeros: Uint8Array<SharedArrayBuffer>;
  /** `direct`: the same file past the page cache; whole pages alone. */
  readonly target: { readonly fd: number; readonly direct?: number };
  /** Where what comes from peers is laid: of whole pages, and one page more. */
  readonly slots: SharedArrayBuffer;
  /** Not 0: end what you do. */
  readonly stop: Int32Array<SharedArrayBuffer>;
  /** The priority of the thread: 0 as all, 19 the last. */
  readonly nice: number;
  /** Grows with each answer of the disk. */
  readonly pulse: Int32Array<SharedArrayBuffer>;
}

/** Numbers of chunks are in order. */
export type Order =
  /** Those of another file, which has them at these offsets. */
  | {
      readonly kind: 'copy';
      readonly fd: number;
      readonly chunks: readonly number[];
      readonly offsets: readonly number[];
    }
  /** Those that lie in the slots, one after another. */
  | { readonly kind: 'keep'; readonly chunks: readonly number[]; readonly at: number; readonly bytes: number }
  /** What is in the target already, of chunks from the one to before the other. */
  | { readonly kind: 'prove'; readonly from: number; readonly to: number }
  | { readonly kind: 'reserve' }
  | { readonly kind: 'digest' }
  /** Nothing more comes; it is not answered. */
  | { readonly kind: 'end' };

export type Answer =
  /** These are in the target, and right. */
  | { readonly kind: 'right'; readonly chunks: readonly number[] }
  | { readonly kind: 'errno'; readonly errno: number }
  /** Empty: it was stopped. */
  | { readonly kind: 'digest'; readonly sha256: string }
  | { readonly kind: 'threw'; readonly code: string; readonly message: string };
