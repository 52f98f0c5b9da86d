/** A thread that reads, proves and writes chunks, so that no other thread waits for a disk or for a hash. One order at a time. */
import { createHash, hash } from 'node:crypto';
import { fdatasyncSync, fstatSync, readSync, writeSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { stretches } from '../image/native.ts';
import { isZero } from './maker.ts';
import { DIGEST_BYTES, lengthOf } from './manifest.ts';
import { aligned, PAGE_BYTES, punch, reserve } from './native.ts';
import type { Answer, Order, WorkerOptions } from './orders.ts';

const { shape, digests, zeros, target, slots, stop, pulse, nice }: WorkerOptions = workerData;
const READ_BYTES = Math.max(1 << 20, shape.chunkBytes);
const SYNC_BYTES = 256 << 20;
const EOPNOTSUPP = 95;
const ENOSYS = 38;
const scratch = aligned(new Uint8Array(READ_BYTES + PAGE_BYTES));
const received = aligned(new Uint8Array(slots));
let unsynced = 0;
// Of this thread alone: what streams goes before it. Nobody without CAP_SYS_NICE goes back to a higher one.
if (getPriority() < nice) setPriority(nice);

const isStopped = (): boolean => Atomics.load(stop, 0) !== 0;

/** The disk has. */
const answered = (): unknown => Atomics.add(pulse, 0, 1);

function isRight(chunk: number, bytes: Uint8Array): boolean {
  if (bytes.length !== lengthOf(shape, chunk)) return false;
  if (zeros[chunk] === 1) return isZero(bytes);
  const at = chunk * DIGEST_BYTES;
  return hash('sha256', bytes, 'buffer').equals(digests.subarray(at, at + DIGEST_BYTES));
}

function readAll(fd: number, to: Uint8Array, at: number): number {
  for (let done = 0; ; ) {
    const read = readSync(fd, to, done, to.length - done, at + done);
    done += read;
    answered();
    if (read === 0 || done === to.length) return done;
  }
}

/** Whole pages pass by the page cache, where the file system lets them: what devices read stays there, and the disk has them at once. */
function write(bytes: Uint8Array, at: number): void {
  const direct = target.direct === undefined ? 0 : bytes.length - (bytes.length % PAGE_BYTES);
  if (target.direct !== undefined) writeAll(target.direct, bytes.subarray(0, direct), at);
  writeAll(target.fd, bytes.subarray(direct), at + direct);
  unsynced += bytes.length - direct;
  if (unsynced < SYNC_BYTES) return;
  unsynced = 0;
  fdatasyncSync(target.fd);
}

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
    answered();
  }
}

/** Writes those that are right, neighbours at once; which they were. */
function keep(chunks: readonly number[], bytes: Uint8Array): number[] {
  const right: number[] = [];
  let run = { from: 0, to: 0, chunk: -1 };
  const flush = () => write(bytes.subarray(run.from, run.to), run.chunk * shape.chunkBytes);
  let at = 0;
  for (const chunk of chunks) {
    const end = at + lengthOf(shape, chunk);
    if (isRight(chunk, bytes.subarray(at, end))) {
      const follows = run.to === at && chunk === run.chunk + (at - run.from) / shape.chunkBytes;
      if (!follows) {
        if (run.to > run.from) flush();
        run = { from: at, to: at, chunk };
      }
      run.to = end;
      right.push(chunk);
    }
    at = end;
  }
  if (run.to > run.from) flush();
  return right;
}

/** Neighbours that fit into what is read at once. */
function* together(
  chunks: readonly number[],
  offsets: readonly number[],
): Generator<{ chunks: number[]; from: number }> {
  let run: { chunks: number[]; from: number } | undefined;
  for (const [index, chunk] of chunks.entries()) {
    const from = offsets[index] ?? 0;
    const next = run && run.from + run.chunks.length * shape.chunkBytes;
    const fits = run && (run.chunks.length + 1) * shape.chunkBytes <= READ_BYTES;
    if (run && fits && next === from && run.chunks.at(-1) === chunk - 1) run.chunks.push(chunk);
    else {
      if (run) yield run;
      run = { chunks: [chunk], from };
    }
  }
  if (run) yield run;
}

/** Where its disk cannot read it, others have it. */
function readOther(fd: number, to: Uint8Array, at: number): number {
  try {
    return readAll(fd, to, at);
  } catch {
    return 0;
  }
}

/** Of another file: where it has them. */
function copy({ fd, chunks, offsets }: Extract<Order, { kind: 'copy' }>): number[] {
  const right: number[] = [];
  for (const run of together(chunks, offsets)) {
    if (isStopped()) return right;
    const bytes = run.chunks.reduce((sum, chunk) => sum + lengthOf(shape, chunk), 0);
    const read = readOther(fd, scratch.subarray(0, bytes), run.from);
    right.push(...keep(run.chunks, scratch.subarray(0, read)));
  }
  return right;
}

/** Of what the target has: chunks of the range that are right. What shall be zeros is made so. */
function prove({ from, to }: Extract<Order, { kind: 'prove' }>): number[] {
  const right: number[] = [];
  const start = from * shape.chunkBytes;
  const end = Math.min(fstatSync(target.fd).size, to * shape.chunkBytes);
  const holes = new Set<number>();
  if (end > start)
    for (const { offset, length, isHole } of stretches(target.fd, start, end - start)) {
      if (!isHole) continue;
      const last = Math.floor((offset + length) / shape.chunkBytes);
      for (let chunk = Math.ceil(offset / shape.chunkBytes); chunk < last; chunk++) holes.add(chunk);
    }
  for (let chunk = from; chunk < to && !isStopped(); chunk++) {
    if (holes.has(chunk)) {
      if (zeros[chunk] === 1) right.push(chunk);
      continue;
    }
    const bytes = scratch.subarray(0, lengthOf(shape, chunk));
    const read = readAll(target.fd, bytes, chunk * shape.chunkBytes);
    if (zeros[chunk] === 1) empty(chunk, bytes.subarray(0, read));
    if (zeros[chunk] === 1 || isRight(chunk, bytes.subarray(0, read))) right.push(chunk);
  }
  return right;
}

/** Zeros that take no room, where the file system has such. */
function empty(chunk: number, there: Uint8Array): void {
  const offset = chunk * shape.chunkBytes;
  if (there.length === 0 || punch(target.fd, offset, there.length) === undefined || isZero(there)) return;
  writeAll(target.fd, new Uint8Array(there.length), offset);
}

/** Room for all that is no zeros. Not every file system reserves. */
function allot(): number {
  let from = -1;
  for (let chunk = 0; chunk <= zeros.length; chunk++) {
    const isData = chunk < zeros.length && zeros[chunk] === 0;
    if (isData && from < 0) from = chunk;
    if (isData || from < 0) continue;
    const offset = from * shape.chunkBytes;
    const error = reserve(target.fd, offset, Math.min(shape.sizeBytes, chunk * shape.chunkBytes) - offset);
    if (error !== undefined) return error === EOPNOTSUPP || error === ENOSYS ? 0 : error;
    from = -1;
  }
  return 0;
}

/** Of all of the target; empty when it was stopped. */
function digest(): string {
  const whole = createHash('sha256');
  for (let at = 0; at < shape.sizeBytes; ) {
    if (isStopped()) return '';
    // Of whole pages from the disk itself; what is less ends the file.
    const read = readSync(at % PAGE_BYTES === 0 ? (target.direct ?? target.fd) : target.fd, scratch, 0, READ_BYTES, at);
    if (read === 0) break;
    whole.update(scratch.subarray(0, read));
    at += read;
    answered();
  }
  return whole.digest('hex');
}

function answer(order: Exclude<Order, { kind: 'end' }>): Answer {
  switch (order.kind) {
    case 'copy':
      return { kind: 'right', chunks: copy(order) };
    case 'keep':
      return { kind: 'right', chunks: keep(order.chunks, received.subarray(order.at, order.at + order.bytes)) };
    case 'prove':
      return { kind: 'right', chunks: prove(order) };
    case 'reserve':
      return { kind: 'errno', errno: allot() };
    case 'digest':
      return { kind: 'digest', sha256: digest() };
  }
}

parentPort?.on('message', (order: Order) => {
  if (order.kind === 'end') {
    parentPort?.close();
    return;
  }
  try {
    parentPort?.postMessage(answer(order));
  } catch (thrown) {
    const { code = '', message } = thrown as NodeJS.ErrnoException;
    parentPort?.postMessage({ kind: 'threw', code, message } satisfies Answer);
  }
});
