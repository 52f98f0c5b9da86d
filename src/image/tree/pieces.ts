/**
 * BLAKE3 of the pieces of a disk, which multiples of 4,096 bytes cut it into: 0.2 ns a byte. By `target/src/pieces.c`, of which the device's client is made,
 * too, so that both ends hash alike.
 */
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';

export const PIECE_BYTES = 4_096;
export const HASH_BYTES = 32;

export interface Pieces {
  /** Writes the hash of each piece of `data`, which lies at `offset` on its disk. How many there are: the first and the last may be shorter. */
  readonly hash: (out: Uint8Array, offset: number, data: Uint8Array) => number;
  /** The same of memory by its address. */
  readonly hashAt: (out: number, offset: number, data: number, bytes: number) => number;
}

/** From this folder, in the source and in what is built of it. */
const LIBRARY = fileURLToPath(new URL('../../../target/build/libpieces.so', import.meta.url));

let loaded: Result<Pieces, Fault<'PiecesUnavailable'>> | undefined;

/** Loads the library once a thread. Without it there are no leaf tables, and all sessions have suite 1. */
export function pieces(): Result<Pieces, Fault<'PiecesUnavailable'>> {
  loaded ??= load();
  return loaded;
}

function load(): Result<Pieces, Fault<'PiecesUnavailable'>> {
  try {
    const library = koffi.load(LIBRARY);
    const hash = library.func('unsigned int pieces_hash(void *, uint64_t, void *, uint32_t)');
    return ok({
      hash: (out, offset, data) => hash(out, offset, data, data.length),
      hashAt: library.func('unsigned int pieces_hash(uintptr_t, uint64_t, uintptr_t, uint32_t)'),
    });
  } catch (thrown) {
    return fail('PiecesUnavailable', `koffi cannot load ${LIBRARY} (make -C target): ${errorMessage(thrown)}`);
  }
}
