/**
 * A file system of one folder, served by the test over `/dev/fuse` (linux/fuse.h, protocol 7.31): its files have another inode number at each look, and
 * what is asked of their names and attributes may take long, while reads do not; or reads hang, as on a disk that died, or one sector
 * cannot be read. Needs root.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, read, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const OP = {
  LOOKUP: 1,
  GETATTR: 3,
  OPEN: 14,
  READ: 15,
  STATFS: 17,
  RELEASE: 18,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
};
/** FORGET, INTERRUPT, BATCH_FORGET. */
const UNANSWERED = [2, 36, 42];
const [ENOENT, EIO, ENOSYS] = [2, 5, 38];
const HEAD_BYTES = { in: 40, out: 16 };
const ROOT = 1;
const FOPEN_DIRECT_IO = 1;
const MODE = { folder: 0o40755, file: 0o100644 };
/** Of every file, in s. */
const MODIFIED = 1_767_225_600n;

const readFrom = promisify(read);

export class FuseFolder {
  /** Of one question about names or attributes. */
  metadataMs = 0;
  /** Reads of this byte fail. */
  sick: { readonly name: string; readonly at: number } | undefined;
  /** Until when reads wait. */
  #hung: Promise<void> = Promise.resolve();
  readonly #path: string;
  readonly #fd: number;
  readonly #files: readonly (readonly [string, Buffer])[];
  readonly #cached: boolean;
  #inode = 1_000n;

  /** @param cached whether the kernel may keep what was read. */
  constructor(path: string, files: Readonly<Record<string, Buffer>>, cached = true) {
    this.#path = path;
    this.#cached = cached;
    this.#files = Object.entries(files);
    this.#fd = openSync('/dev/fuse', 'r+');
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
    const mounted = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'fake', path], {
      stdio: ['ignore', 'inherit', 'inherit', this.#fd],
    });
    if (mounted.status !== 0) throw new Error(`mount of ${path} ended with ${mounted.status}`);
    void this.#serve();
  }

  /** Reads wait until what this gives is called. */
  hang(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#hung = promise;
    return resolve;
  }

  close(): void {
    spawnSync('umount', ['-l', this.#path]);
    closeSync(this.#fd);
  }

  async #serve(): Promise<void> {
    for (;;) {
      const buffer = Buffer.alloc((1 << 17) + 4_096);
      const got = await readFrom(this.#fd, buffer, 0, buffer.length, null).catch(() => undefined);
      if (!got) return; // unmounted
      void this.#answer(buffer.subarray(0, got.bytesRead));
    }
  }

  async #answer(question: Buffer): Promise<void> {
    const opcode = question.readUInt32LE(4);
    if (UNANSWERED.includes(opcode)) return;
    const node = Number(question.readBigUInt64LE(16));
    if ([OP.LOOKUP, OP.GETATTR, OP.STATFS, OP.READDIR].includes(opcode) && this.metadataMs > 0)
      await delay(this.metadataMs);
    if (opcode === OP.READ) await this.#hung;
    const answer = this.#answerTo(opcode, node, question.subarray(HEAD_BYTES.in));
    const error = typeof answer === 'number' ? answer : 0;
    const body = typeof answer === 'number' ? Buffer.alloc(0) : answer;
    const head = Buffer.alloc(HEAD_BYTES.out);
    head.writeUInt32LE(HEAD_BYTES.out + body.length, 0);
    head.writeInt32LE(-error, 4);
    question.copy(head, 8, 8, 16);
    try {
      writeSync(this.#fd, Buffer.concat([head, body]));
    } catch {
      // whoever asked has gone
    }
  }

  /** A number is an error. */
  #answerTo(opcode: number, node: number, body: Buffer): Buffer | number {
    switch (opcode) {
      case OP.INIT:
        return fields(64, [
          [0, 7],
          [4, 31],
          [8, 1 << 17],
          [20, 4_096],
          [24, 1],
        ]);
      case OP.LOOKUP: {
        const index = this.#files.findIndex(([name]) => name === body.toString('utf8', 0, body.indexOf(0)));
        if (index < 0) return ENOENT;
        const entry = Buffer.alloc(40);
        entry.writeBigUInt64LE(BigInt(ROOT + 1 + index), 0);
        return Buffer.concat([entry, this.#attributes(ROOT + 1 + index)]);
      }
      case OP.GETATTR:
        return Buffer.concat([Buffer.alloc(16), this.#attributes(node)]);
      case OP.STATFS:
        return fields(80, [
          [0, 1_000],
          [8, 500],
          [16, 500],
          [40, 4_096],
          [44, 255],
          [48, 4_096],
        ]);
      case OP.OPEN:
        return fields(16, [[8, this.#cached ? 0 : FOPEN_DIRECT_IO]]);
      case OP.OPENDIR:
        return Buffer.alloc(16);
      case OP.READDIR:
        return body.readBigUInt64LE(8) > 0n
          ? Buffer.alloc(0)
          : Buffer.concat(this.#files.map(([name], at) => entryOf(name, at)));
      case OP.READ: {
        const at = Number(body.readBigUInt64LE(8));
        const sick = this.sick?.name === this.#files[node - ROOT - 1]?.[0] ? this.sick : undefined;
        if (sick && sick.at >= at && sick.at < at + body.readUInt32LE(16)) return EIO;
        return this.#contentOf(node).subarray(at, at + body.readUInt32LE(16));
      }
      case OP.RELEASE:
      case OP.RELEASEDIR:
        return Buffer.alloc(0);
      default:
        return ENOSYS;
    }
  }

  #contentOf(node: number): Buffer {
    return this.#files[node - ROOT - 1]?.[1] ?? Buffer.alloc(0);
  }

  #attributes(node: number): Buffer {
    const attributes = Buffer.alloc(88);
    attributes.writeBigUInt64LE(this.#inode++, 0);
    attributes.writeBigUInt64LE(BigInt(this.#contentOf(node).length), 8);
    for (const time of [24, 32, 40]) attributes.writeBigUInt64LE(MODIFIED, time);
    attributes.writeUInt32LE(node === ROOT ? MODE.folder : MODE.file, 60);
    attributes.writeUInt32LE(1, 64);
    attributes.writeUInt32LE(4_096, 80);
    return attributes;
  }
}

function fields(bytes: number, values: readonly (readonly [number, number])[]): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (const [at, value] of values) buffer.writeUInt32LE(value, at);
  return buffer;
}

function entryOf(name: string, index: number): Buffer {
  const entry = Buffer.alloc(24 + Math.ceil(name.length / 8) * 8);
  entry.writeBigUInt64LE(BigInt(ROOT + 1 + index), 0);
  entry.writeBigUInt64LE(BigInt(index + 1), 8);
  entry.writeUInt32LE(name.length, 16);
  entry.writeUInt32LE(8, 20); // DT_REG
  entry.write(name, 24);
  return entry;
}
