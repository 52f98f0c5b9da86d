/** The open disks of the copies that are served, in step with them: opened when a copy becomes right, closed when no read needs it any more. */
import { dirname } from 'node:path';
import { refKey, type VersionRef } from '../farm/token.ts';
import type { Content, Disk, OpenFile } from '../image/disk.ts';
import { openImage } from '../image/images.ts';
import { LeafTable, type TableRef } from '../image/tree/table.ts';
import { verified } from '../image/tree/verified.ts';
import { inTime } from '../kit/patience.ts';
import type { Fault } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Export, Frontend } from './frontend.ts';
import { judgeOpen, sameFiles } from './keep.ts';

/** A copy whose content is right. */
interface Copy extends VersionRef {
  readonly imagePath: string;
  /** As they were when they were found right: the image first, then what it is a difference of. */
  readonly imageFiles: readonly OpenFile[];
  /** The leaf table of its disk; absent: there is none (yet). */
  readonly table?: TableRef;
}

/** A version that the farm says this server has, whether or not its files are right now. */
export interface Offer extends VersionRef {
  readonly contentOf: (files: readonly OpenFile[]) => Content;
}

interface Open {
  readonly copy: Copy;
  disk: Disk;
  /** As its files were when it was opened: what a format keeps of them in memory is of then. */
  readonly opened: readonly OpenFile[];
  /** As its files were when their content was last proved, and when they were first seen changed since. */
  proved: readonly OpenFile[];
  doubted?: readonly OpenFile[];
  /** Its copy is not right, and it is kept for who reads it; milliseconds of when somebody last did. */
  kept?: { readonly usedAt: number; readonly proved: boolean };
}

export interface ExportsOptions {
  /** Resolves when nothing reads a disk that is no longer in the list. */
  readonly apply: Frontend['setExports'];
  /** Whether a device has a session of it. */
  readonly inUse: (version: VersionRef) => boolean;
  readonly log: Logger;
  /** A leaf table is not what it was. */
  readonly onTableLost?: (table: TableRef) => void;
  readonly open?: typeof openImage;
  /** How long a file that is open may be silent. */
  readonly patienceMs?: number;
  readonly now?: () => number;
}

/** As for a look into a folder: above any healthy disk. */
const PATIENCE_MS = 5_000;
/** A disk that is only kept for who reads it is closed, and its space given back, so long after the last session: a device that lost its way comes again. */
const UNUSED_MS = 60_000;
/** Read of a disk whose folder is silent, to see whether it answers. */
const TRY_BYTES = 4_096;

export class Exports {
  readonly #options: Required<ExportsOptions>;
  #wanted = new Map<string, Copy>();
  #offered = new Map<string, Offer>();
  readonly #open = new Map<string, Open>();
  /** Why the last try to open them failed. */
  readonly #refused = new Map<string, string>();
  /** Why tables are not used, told once each. */
  readonly #tableless = new Set<string>();
  /** Being opened, or asked how they are. */
  readonly #busy = new Set<string>();
  readonly #asked = { files: new WeakSet<Disk>(), read: new WeakSet<Disk>() };

  constructor(options: ExportsOptions) {
    this.#options = {
      onTableLost: () => undefined,
      open: openImage,
      patienceMs: PATIENCE_MS,
      now: () => performance.now(),
      ...options,
    };
  }

  get list(): readonly Export[] {
    return [...this.#open.values()].map(exportOf);
  }

  /** What is served beside the copies that are right: of these the files that are open are, and answer. */
  get kept(): readonly Export[] {
    return [...this.#open.values()].filter(({ kept }) => kept?.proved).map(exportOf);
  }

  /**
   * `copies` are right; of `offers` what is open may stay so. Resolves when all of it is done. Each disk is given out as soon as it is open: a store that
   * hangs keeps back its own alone.
   */
  async set(copies: readonly Copy[], offers: readonly Offer[] = []): Promise<void> {
    this.#wanted = new Map(copies.map((copy) => [refKey(copy), copy]));
    this.#offered = new Map(offers.map((offer) => [refKey(offer), offer]));
    const gone = [...this.#open.keys()].filter((key) => !this.#wanted.has(key) && !this.#offered.has(key));
    const left = [...this.#open].filter(([key]) => !this.#wanted.has(key) && this.#offered.has(key));
    await Promise.all([
      this.#drop(gone),
      ...copies.map((copy) => this.#alone(refKey(copy), (key) => this.#serve(key, copy))),
      ...left.map(([key, open]) => this.#alone(key, () => this.#judge(key, open))),
    ]);
  }

  close(): Promise<void> {
    return this.set([]);
  }

  /** What hangs is not asked a second time, for each question holds a thread. */
  async #alone(key: string, work: (key: string) => Promise<void>): Promise<void> {
    if (this.#busy.has(key)) return;
    this.#busy.add(key);
    await work(key).finally(() => this.#busy.delete(key));
  }

  /** A disk is opened once; another file in its place, with the same content, takes its turn when it is open. */
  async #serve(key: string, copy: Copy): Promise<void> {
    const open = this.#open.get(key);
    if (open && sameFiles(open.opened, copy.imageFiles)) {
      open.proved = copy.imageFiles;
      delete open.doubted;
      delete open.kept;
      const disk = await this.#withTable(open.disk, copy);
      if (disk === open.disk) return;
      // It was dropped meanwhile, and closed.
      if (this.#open.get(key) !== open) return disk.close();
      open.disk = disk;
      return this.#options.apply(this.list);
    }
    const parents = new Set(copy.imageFiles.map(({ name }) => name));
    const opened = await this.#options.open(copy.imagePath, { parents });
    if (!opened.ok) return this.#refuse(key, copy, opened.error);
    if (!(await this.#holds(opened.value, copy.imageFiles))) {
      await opened.value.close();
      return this.#refuse(key, copy, {
        code: 'FileChanged',
        message: `${copy.imagePath} changed since it was found right`,
      });
    }
    const disk = await this.#withTable(opened.value, copy);
    if (!this.#wanted.has(key)) return disk.close();
    this.#refused.delete(key);
    const before = this.#open.get(key);
    this.#open.set(key, { copy, disk, opened: copy.imageFiles, proved: copy.imageFiles });
    await this.#options.apply(this.list);
    await before?.disk.close();
  }

  /** As soon as there is a table; without it, or where it cannot be used, the disk is served all the same. */
  async #withTable(disk: Disk, { vdisk, version, table }: Copy): Promise<Disk> {
    if (!table || disk.leaves?.root === table.root) return disk;
    const opening = LeafTable.open(table, disk.sizeBytes);
    const opened = await inTime(opening, this.#options.patienceMs);
    // One that comes late is let go of: the next look asks again.
    if (!opened) void opening.then((late) => (late.ok ? late.value.close() : undefined));
    if (opened?.ok) return verified(disk, opened.value);
    const { code, message } = opened?.error ?? { code: 'TableSilent', message: `${table.path} does not answer` };
    if (!this.#tableless.has(message)) this.#options.log.warn({ vdisk, version, code, message }, 'leaf table not used');
    this.#tableless.add(message);
    if (code === 'TableWrong' || code === 'TableMissing') this.#options.onTableLost(table);
    return disk;
  }

  /** It is tried again at each look, and told once. */
  #refuse(key: string, { vdisk, version }: Copy, fault: Fault): void {
    if (this.#refused.get(key) !== fault.message)
      this.#options.log.warn({ vdisk, version, ...fault }, 'disk not opened');
    this.#refused.set(key, fault.message);
  }

  /** What was found right is what is open: a name may lead to another file since. */
  async #holds(disk: Disk, files: readonly OpenFile[]): Promise<boolean> {
    return sameFiles((await this.#filesOf(disk, files)) ?? [], files);
  }

  /** How its files are now; of a disk that cannot say it, `otherwise`. Undefined: they did not answer. */
  #filesOf(disk: Disk, otherwise: readonly OpenFile[]): Promise<readonly OpenFile[] | undefined> {
    return this.#ask('files', disk, () => disk.files?.() ?? Promise.resolve(otherwise));
  }

  async #judge(key: string, open: Open): Promise<void> {
    const { log, inUse, now } = this.#options;
    const { vdisk, version } = open.copy;
    // In a folder that is silent the file is not asked how it is: each question would hold a thread for as long.
    const contentOf = (files = open.proved): Content => this.#offered.get(key)?.contentOf(files) ?? 'Unseen';
    const files = contentOf() === 'Unseen' ? undefined : await this.#filesOf(open.disk, open.proved);
    const content = contentOf(files);
    const answers = content !== 'Unseen' || (await this.#reads(open.disk));
    const judged = judgeOpen({ ...open, now: files, content });
    const usedAt = inUse(open.copy) ? now() : (open.kept?.usedAt ?? now());
    if (this.#open.get(key) !== open || this.#wanted.has(key)) return;
    if (judged === 'Wrong' || !answers || now() - usedAt > UNUSED_MS) {
      log.info({ vdisk, version, content, judged, answers }, 'disk closed');
      return this.#drop([key]);
    }
    if (!open.kept || (judged === 'Doubtful' && !open.doubted))
      log.info({ vdisk, version, content, judged }, 'disk kept for who reads it');
    open.kept = { usedAt, proved: judged === 'Proved' && content !== 'Unseen' };
    if (judged === 'Doubtful') open.doubted ??= files ?? open.proved;
    else {
      if (files) open.proved = files;
      delete open.doubted;
    }
  }

  /** Anywhere, so that what lies in memory answers for the disk as seldom as may be. */
  async #reads(disk: Disk): Promise<boolean> {
    const length = Math.min(TRY_BYTES, disk.sizeBytes);
    const block = Math.floor((Math.random() * (disk.sizeBytes - length)) / disk.blockSize);
    const read = await this.#ask('read', disk, () => disk.read(block * disk.blockSize, length));
    return read?.ok ?? false;
  }

  /** Undefined: it did not answer in time, or with an error. Who has not answered yet is not asked a second time: each question holds a thread. */
  async #ask<T>(what: 'files' | 'read', disk: Disk, begin: () => Promise<T>): Promise<T | undefined> {
    const asked = this.#asked[what];
    if (asked.has(disk)) return undefined;
    asked.add(disk);
    const question = begin().finally(() => asked.delete(disk));
    return inTime(
      question.catch(() => undefined),
      this.#options.patienceMs,
    );
  }

  async #drop(keys: readonly string[]): Promise<void> {
    const gone = keys.flatMap((key) => this.#open.get(key) ?? []);
    if (gone.length === 0) return;
    for (const key of keys) this.#open.delete(key);
    await this.#options.apply(this.list);
    await Promise.all(gone.map(({ disk }) => disk.close()));
  }
}

const exportOf = ({ copy: { vdisk, version, manifest, imagePath }, disk }: Open): Export => ({
  ...{ vdisk, version, manifest, disk },
  folder: dirname(imagePath),
});
