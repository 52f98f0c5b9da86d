/** A file as an HTTP answer, or the range of it that was asked for; one open file from its size to its last byte, whatever is renamed meanwhile. */
import { type FileHandle, open } from 'node:fs/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { READ_AHEAD_BYTES } from './limits.ts';
import { parseRange } from './range.ts';

/** False when the file is not there (any more), and nothing was answered. */
export async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  sent: (bytes: number) => void,
): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (!file) return false;
  const size = await sizeOf(file);
  const range = size === undefined ? 'unsatisfiable' : parseRange(request.headers.range, size);
  if (size === undefined || size === 0 || range === 'unsatisfiable') {
    await file.close();
    if (size === undefined) return false;
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
  await reply.send(file.createReadStream({ start, end, highWaterMark: READ_AHEAD_BYTES }));
  return true;
}

/** Undefined for what is no file. */
async function sizeOf(file: FileHandle): Promise<number | undefined> {
  const stats = await file.stat().catch(() => undefined);
  return stats?.isFile() ? stats.size : undefined;
}
