/** A file as an HTTP answer, or the range of it that was asked for; one open file from its size to its last byte, whatever is renamed meanwhile. */
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { openRegular } from '../kit/file.ts';
import { Gates } from '../net/gate.ts';
import { CHUNK_BYTES, READS_AT_ONCE } from './limits.ts';
import { parseRange } from './range.ts';

const gates = new Gates(READS_AT_ONCE);

/** False when no file is there (any more), and nothing was answered. */
export async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  sent: (bytes: number) => void,
): Promise<boolean> {
  const reads = gates.of(path);
  const opened = await reads.run(request.ip, () => openRegular(path));
  if (!opened.ok) return false;
  const { file } = opened.value;
  const size = Number(opened.value.stats.size);
  const range = parseRange(rangeOf(request), size);
  if (size === 0 || range === 'unsatisfiable') {
    await file.close();
    if (range === 'unsatisfiable') reply.code(416).header('content-range', `bytes */${size}`);
    await reply.send('');
    return true;
  }
  const { start, end } = range === 'whole' ? { start: 0, end: size - 1 } : range;
  reply
    .type('application/octet-stream')
    .header('accept-ranges', 'bytes')
    .header('content-length', end - start + 1);
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${start}-${end}/${size}`);
  sent(end - start + 1);
  await reply.send(streamOf(file, start, end, (read) => reads.run(request.ip, read)));
  return true;
}

/** Files have no ETag and no date here, so the condition of an If-Range never holds: all of it is the answer (RFC 9110 13.1.5). */
const rangeOf = ({ headers }: FastifyRequest): string | undefined =>
  headers['if-range'] === undefined ? headers.range : undefined;

type InTurn = <T>(read: () => Promise<T>) => Promise<T>;

/** A chunk is read when the machine has taken the one before, and when it is the machine's turn. */
function streamOf(file: FileHandle, start: number, end: number, inTurn: InTurn): Readable {
  let at = start;
  return new Readable({
    highWaterMark: 0, // nothing ahead: what is on its way is in the socket
    read() {
      const length = Math.min(CHUNK_BYTES, end + 1 - at);
      if (length === 0) {
        this.push(null);
        return;
      }
      const read = async (): Promise<Buffer> => {
        if (this.destroyed) return Buffer.alloc(0); // it left while it waited
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, at);
        return buffer.subarray(0, bytesRead);
      };
      inTurn(read).then(
        (bytes) => {
          at += bytes.length;
          if (bytes.length > 0) this.push(bytes);
          else this.destroy(new Error('the file is shorter than it was'));
        },
        (error) => this.destroy(error),
      );
    },
    destroy(error, done) {
      file.close().then(
        () => done(error),
        () => done(error),
      );
    },
  });
}
