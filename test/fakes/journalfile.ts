/** A disk in memory that fails when it is told to, and the contents that a crash at any moment may leave. */
import type { JournalFile } from '../../src/replica/journalfile.ts';

/** Of the next call of that name: the code of its error, and for `append` how many bytes were taken before it. */
export interface DiskFault {
  readonly call: 'read' | 'append' | 'truncate' | 'sync' | 'prepare' | 'exchange';
  readonly code: 'ENOSPC' | 'EIO';
  readonly taken?: number;
}

export class FakeJournalFile implements JournalFile {
  readonly path = '/fake/journal';
  /** What a crash keeps for certain, and what programs read. */
  durable = Buffer.alloc(0);
  cached = Buffer.alloc(0);
  faults: DiskFault[] = [];
  #prepared = Buffer.alloc(0);
  /** Called before and after each change of the contents. */
  readonly #onChange: (file: FakeJournalFile) => void;

  constructor(onChange: (file: FakeJournalFile) => void = () => {}) {
    this.#onChange = onChange;
  }

  /** Each length between what is durable and what was written; and both, where it was cut. */
  *afterCrash(): Generator<Buffer> {
    yield this.durable;
    const begins = this.cached.subarray(0, this.durable.length).equals(this.durable);
    if (!begins) yield this.cached;
    else for (let end = this.durable.length + 1; end <= this.cached.length; end++) yield this.cached.subarray(0, end);
  }

  async read(): Promise<Buffer> {
    this.#fail('read');
    return Buffer.from(this.cached);
  }

  async append(bytes: Buffer): Promise<void> {
    const fault = this.#next('append');
    const taken = fault ? bytes.subarray(0, Math.min(bytes.length, fault.taken ?? 0)) : bytes;
    this.cached = Buffer.concat([this.cached, taken]);
    this.#onChange(this);
    if (fault) throw Object.assign(new Error(`${fault.code}: write`), { code: fault.code });
  }

  async truncate(length: number): Promise<void> {
    this.#fail('truncate');
    this.cached = this.cached.subarray(0, length);
    this.#onChange(this);
  }

  /** What a failed sync could not write is gone, whatever later ones say: the kernel takes its pages for clean. */
  async sync(): Promise<void> {
    const fault = this.#next('sync');
    if (fault) {
      this.cached = Buffer.concat([
        this.cached.subarray(0, this.durable.length),
        Buffer.alloc(Math.max(0, this.cached.length - this.durable.length)),
      ]);
      throw Object.assign(new Error(`${fault.code}: fsync`), { code: fault.code });
    }
    this.durable = Buffer.from(this.cached);
    this.#onChange(this);
  }

  async prepare(bytes: Buffer): Promise<void> {
    this.#fail('prepare');
    this.#prepared = Buffer.from(bytes);
  }

  /** A fault strikes after the rename: the name is not on the disk yet. */
  async exchange(): Promise<void> {
    const fault = this.#next('exchange');
    if (fault?.code !== 'EIO') this.cached = this.#prepared;
    this.#onChange(this);
    if (fault) throw Object.assign(new Error(`${fault.code}: rename`), { code: fault.code });
    this.durable = this.cached;
    this.#onChange(this);
  }

  async close(): Promise<void> {}

  #next(call: DiskFault['call']): DiskFault | undefined {
    if (this.faults[0]?.call !== call) return undefined;
    return this.faults.shift();
  }

  #fail(call: DiskFault['call']): void {
    const fault = this.#next(call);
    if (fault) throw Object.assign(new Error(`${fault.code}: ${call}`), { code: fault.code });
  }
}
