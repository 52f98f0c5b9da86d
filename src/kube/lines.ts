/** A line longer than this is no watch event: etcd holds objects of 1.5 MiB, the wire doubles that at worst. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * Cuts a stream of bytes into its lines (LF), without the line ends and empty lines.
 * Bytes are joined before they are decoded, so a character may lie across two chunks.
 * Throws a RangeError at a line above `MAX_LINE_BYTES`; what follows the last LF is dropped: a cut event is none.
 */
export async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
      pending.push(chunk.subarray(start, end));
      const line = Buffer.concat(pending).toString('utf8');
      pending = [];
      pendingBytes = 0;
      start = end + 1;
      if (line !== '') yield line;
    }
    if (start === chunk.length) continue;
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > MAX_LINE_BYTES) throw new RangeError(`a line of the watch is above ${MAX_LINE_BYTES} bytes`);
  }
}
