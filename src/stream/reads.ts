/** READs of a session: judged, handed to the main thread, and what is said of them before their data. */
import { MAX_PENDING_READS, MAX_SESSION_READS } from './limits.ts';
import type { Read, ReadError } from './packet.ts';
import {
  answer,
  drop,
  type Effect,
  type PendingRead,
  type ServedDisk,
  type Session,
  type Shard,
  tally,
} from './shard.ts';
import { TAG_BYTES } from './wire.ts';

/** The disk of the session, if it is served still, to this device, and the range lies within it. */
export function readable(shard: Shard, session: Session, offset: number, length: number): ServedDisk | ReadError {
  const disk = shard.disks.get(session.disk);
  if (!disk || session.refused) return 'Revoked';
  return offset <= disk.sizeBytes && length <= disk.sizeBytes - offset ? disk : 'BadRange';
}

export function read(shard: Shard, session: Session, packet: Read, bytes: Buffer): Effect[] {
  const disk = readable(shard, session, packet.offset, packet.length);
  if (typeof disk === 'string') return [readError(shard, session, packet.number, disk)];
  return startRead(shard, session, disk, packet.number, packet.offset, packet.length, bytes.subarray(-TAG_BYTES));
}

/**
 * Hands a READ to the main thread. Beyond the limit it is dropped: the client's time-out doubles, which is what the disk needs. Of all that may wait a folder has
 * as many as it leaves to others: one that is silent has half, a second one a quarter.
 */
export function startRead(
  shard: Shard,
  session: Session,
  disk: ServedDisk,
  request: number,
  offset: number,
  length: number,
  tag: Uint8Array,
): Effect[] {
  const { folder } = disk;
  const waiting = shard.waiting.get(folder) ?? 0;
  if (session.waiting >= MAX_SESSION_READS || waiting >= MAX_PENDING_READS - shard.reads.size)
    return drop(shard, 'dropBusy');
  session.waiting++;
  shard.waiting.set(folder, waiting + 1);
  const id = shard.nextRead++;
  const pending = { id, session: session.id, disk: disk.id, folder, request, offset, length, tag: Buffer.from(tag) };
  shard.reads.set(id, pending);
  return [{ kind: 'read', read: pending }];
}

/** It is answered, or nobody waits for it any more. */
export function endRead(shard: Shard, id: number): PendingRead | undefined {
  const read = shard.reads.get(id);
  if (!read) return undefined;
  shard.reads.delete(id);
  const left = (shard.waiting.get(read.folder) ?? 0) - 1;
  if (left > 0) shard.waiting.set(read.folder, left);
  else shard.waiting.delete(read.folder);
  return read;
}

/** WAIT for a read that is still pending; nothing otherwise. */
export function wait(shard: Shard, read: PendingRead): Effect[] {
  const session = shard.sessions.get(read.session);
  return session && shard.reads.has(read.id) ? [waitFor(shard, session, read.request)] : [];
}

export function waitFor(shard: Shard, session: Session, request: number): Effect {
  tally(shard, 'waits');
  return answer(shard, session, (header) => ({ type: 'WAIT', ...header, request }));
}

export function readError(shard: Shard, session: Session, request: number, code: ReadError): Effect {
  tally(shard, 'readErrors');
  return answer(shard, session, (header) => ({ type: 'ERROR', ...header, request, code, retryAfterMs: 0 }));
}
