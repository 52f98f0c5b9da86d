/** Hashes files where it is asked, with no thread: threads that come and go in a process of jest that ran much end it (`test/setup/test.sh`). */
import type { FileHasher } from '../../src/store/hasher.ts';
import { Hashes } from '../../src/store/hashes.ts';

export const aHasher = (): FileHasher => ({
  begin(shape) {
    const hashes = new Hashes(shape);
    const room = new Uint8Array(1 << 20);
    return {
      room: async () => room,
      add: (bytes) => hashes.add(room.subarray(0, bytes)),
      finish: async () => hashes.finish(),
      [Symbol.dispose]: () => undefined,
    };
  },
  close: async () => undefined,
});
