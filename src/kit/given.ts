/** Bytes into a stream at the pace of who takes them. */
import type { Writable } from 'node:stream';

/** Done when it took them; rejects where nobody takes them any more. */
export const given = (into: Pick<Writable, 'write'>, bytes: Uint8Array): Promise<void> =>
  new Promise((done, failed) => {
    into.write(bytes, (error) => (error ? failed(error) : done()));
  });
