/** Takes what the server of this pod lacks from other servers: reads what is wanted, again and again, runs a process a file, and tells how far each is. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorMessage } from '../kit/errors.ts';
import { replaceFile } from '../kit/file.ts';
import { inTime } from '../kit/patience.ts';
import { claim, DEVICES_FILE, deviceOf, type Owner, parseDevices, readOwner, vanished } from '../store/mark.ts';
import { type PulledFile, type PullOrder, removePartial } from '../store/pullfile.ts';
import { PULLS_FILE, type Pulls, parsePulls } from '../store/pulls.ts';
import { parseAges, removeStale, type StaleAges } from '../store/stale.ts';
import { parseWants, type StoreWants, WANTS_FILE } from '../store/wants.ts';
import type { Logger } from '../telemetry/log.ts';
import { clearPulling, forgetPulled, pullingFolder } from '../transfer/pulling.ts';
import type { Told, Worker } from './keeper.ts';
import { PropertyCopies } from './properties.ts';
import { forsaken, type PullTask, planPulls, pullEnded, pullFurther, pullStarted, reportsOf } from './pulls.ts';
import type { Ending } from './queue.ts';

export interface MirrorOptions extends Pick<PullOrder, 'tlsDirectory' | 'stateDirectory'> {
  /** Of jobs: what is written there the server reads. */
  readonly folder: string;
  readonly start: (order: PullOrder, told: Pick<Told, 'onProgress'>) => Worker;
  readonly log: Logger;
  /** Of a clock that never jumps. */
  readonly now?: () => number;
}

const STALE_EVERY_MS = 300_000;
/** How old they are, in the folder of jobs. */
const STALE_FILE = 'stale.json';
/** Files that came and are not read yet, which are given on. */
const MAX_CAME = 256;
/** Of a process whose disk hangs not even a kill makes an end. */
const LEAVE_MS = 5_000;
/** How often what comes is told. */
const TOLD_EVERY_MS = 1_000;

export class Mirror {
  readonly #options: MirrorOptions;
  readonly #now: () => number;
  #tasks: ReadonlyMap<string, PullTask> = new Map();
  /** By path. */
  readonly #workers = new Map<string, Worker>();
  /** By folder or file: what is being done there alone, and what waits for it. */
  readonly #apartly = new Map<string, { readonly keys: Set<string>; last: Promise<void> }>();
  /** Their digests, by path: they came, and are given on until the server has read them. */
  readonly #came = new Map<string, string>();
  /** Undefined: the server is of a release that does not say it. */
  #owner: Owner | undefined;
  /** By the server. */
  #said: readonly StoreWants[] | undefined;
  readonly #properties: PropertyCopies;
  /** With properties of versions. */
  #wants: readonly StoreWants[] | undefined;
  /** Of all since the process began. */
  #copiedBytes = 0;
  #blamed = 0;
  #told = { text: '', atMs: Number.NEGATIVE_INFINITY };
  #staleMs = Number.NEGATIVE_INFINITY;
  /** By folder: how old its files are that were put aside, and when they were looked at last. */
  readonly #stale = new Map<string, { readonly ages: StaleAges; readonly atMs: number }>();
  /** By folder. */
  #devices: Readonly<Record<string, string>> = {};
  /** As an earlier process left them. */
  #ages: StaleAges = {};
  #looking: Promise<void> | undefined;
  #stopping = false;

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#properties = new PropertyCopies({ ...options, now: this.#now });
  }

  /** What an earlier process was at: where it is not wanted any more, it goes. */
  async takeUp(): Promise<void> {
    const { folder } = this.#options;
    const before = parsePulls(await readFile(join(folder, PULLS_FILE), 'utf8').catch(() => ''));
    this.#devices = parseDevices(await readFile(join(folder, DEVICES_FILE), 'utf8').catch(() => ''));
    this.#ages = parseAges(await readFile(join(folder, STALE_FILE), 'utf8').catch(() => ''));
    clearPulling(pullingFolder(folder));
    this.#tasks = new Map(before?.pulls.map((pull) => [pull.path, forsaken(pull, this.#now())]));
  }

  /** One turn; one that goes on is shared. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((thrown: unknown) => this.#options.log.error({ error: errorMessage(thrown) }, 'copies cannot be kept'))
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  /** What runs ends now, and goes on with the next one. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#looking;
    await this.#properties.stop();
    const workers = [...this.#workers.values()];
    for (const worker of workers) worker.kill();
    await inTime(Promise.all(workers.map(({ ending }) => ending)), LEAVE_MS);
  }

  async #look(): Promise<void> {
    const { stateDirectory, log } = this.#options;
    const text = await readFile(join(stateDirectory, WANTS_FILE), 'utf8').catch(() => '');
    this.#owner = (await readOwner(stateDirectory)) ?? this.#owner;
    this.#said = parseWants(text) ?? this.#said;
    if (!this.#said || this.#stopping) return;
    const wants = await this.#properties.with(this.#said);
    this.#wants = wants;
    const plan = planPulls(wants, this.#tasks, this.#now());
    this.#tasks = plan.tasks;
    for (const path of plan.stuck) {
      log.warn({ path, reason: plan.tasks.get(path)?.message }, 'copy is stuck');
      this.#workers.get(path)?.kill();
    }
    const killed = new Map(plan.kill.map((path) => [path, this.#kill(path)]));
    for (const { path, sha256 } of plan.remove) {
      log.info({ path, sha256 }, 'what came of it is removed: it is not wanted any more');
      this.#apart(path, sha256, async () => {
        await killed.get(path);
        await removePartial(path, sha256, this.#owner);
      });
    }
    for (const task of plan.start) this.#start(task);
    this.#sweep(wants);
    this.#forgetWhole(wants);
    await this.#tell();
  }

  /** Its end. */
  #kill(path: string): Promise<unknown> | undefined {
    const worker = this.#workers.get(path);
    this.#workers.delete(path);
    worker?.kill();
    return worker?.ending;
  }

  /** A store that hangs holds up what is done there, and no other; one thing at a time of a name, and of those that wait one of a key. */
  #apart(name: string, key: string, work: () => Promise<void>): void {
    const own = this.#apartly.get(name) ?? { keys: new Set(), last: Promise.resolve() };
    if (own.keys.has(key)) return;
    own.keys.add(key);
    this.#apartly.set(name, own);
    const done = own.last
      .then(() => {
        own.keys.delete(key);
        return work();
      })
      .catch((thrown: unknown) => this.#options.log.warn({ path: name, error: errorMessage(thrown) }, 'files stay'))
      .finally(() => {
        if (own.last === done) this.#apartly.delete(name);
      });
    own.last = done;
  }

  #start(task: PullTask): void {
    const { start, tlsDirectory, stateDirectory, log } = this.#options;
    const pulling = pullingFolder(this.#options.folder);
    const { folder, file, sources, bytesPerSecond } = task;
    const path = join(folder, file.name);
    this.#set(path, pullStarted(task, this.#now()));
    log.info({ path, sha256: file.sha256, sources: sources.map(({ name }) => name) }, 'copy begins');
    const order: PullOrder = {
      ...{ kind: 'pull', folder, file, sources, tlsDirectory, stateDirectory, pulling },
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      ...(this.#owner && { owner: this.#owner }),
      ...(this.#devices[folder] === undefined ? {} : { device: this.#devices[folder] }),
    };
    const isCurrent = (): boolean => this.#workers.get(path) === worker;
    const worker = start(order, {
      onProgress: (doneBytes) => {
        const current = this.#tasks.get(path);
        if (current && isCurrent()) this.#set(path, pullFurther(current, doneBytes, this.#now()));
      },
    });
    this.#workers.set(path, worker);
    void worker.ending.then((ending) => {
      if (!isCurrent()) return;
      this.#workers.delete(path);
      this.#ended(path, ending);
    });
  }

  #ended(path: string, ending: Ending): void {
    const { log } = this.#options;
    const task = this.#tasks.get(path);
    if (!task) return;
    const after = pullEnded(task, ending, this.#now());
    this.#set(path, after);
    if (ending.kind !== 'made') {
      log.warn({ path, reason: ending.message }, 'copy failed');
      if (ending.kind === 'fault' && ending.code === 'NoSpace') this.#makeRoom(task.folder);
      return;
    }
    const { peerBytes, localBytes, blamed } = ending.made as PulledFile;
    this.#copiedBytes += Object.values(peerBytes).reduce((sum, bytes) => sum + bytes, 0);
    this.#blamed += blamed.length;
    log.info({ path, peerBytes, localBytes, blamed }, 'copy is there');
    this.#came.set(path, task.file.sha256);
  }

  /** Those that the server gives by itself; of a few that it never found right the oldest, too. */
  #forgetWhole(wants: readonly StoreWants[]): void {
    const read = new Set(wants.flatMap(({ folder, whole }) => whole.map((name) => join(folder, name))));
    for (const [path, sha256] of this.#came) {
      if (!read.has(path) && this.#came.size <= MAX_CAME) continue;
      this.#came.delete(path);
      forgetPulled(pullingFolder(this.#options.folder), sha256);
    }
  }

  #set(path: string, task: PullTask): void {
    this.#tasks = new Map(this.#tasks).set(path, task);
  }

  #makeRoom(folder: string): void {
    for (const kept of keptIn((this.#wants ?? []).filter((store) => store.folder === folder)))
      this.#removeStale(kept, true);
  }

  #sweep(wants: readonly StoreWants[]): void {
    if (this.#now() - this.#staleMs < STALE_EVERY_MS) return;
    this.#staleMs = this.#now();
    for (const kept of keptIn(wants)) this.#removeStale(kept, false);
  }

  #removeStale(kept: Kept, full: boolean): void {
    const { folder: path } = kept;
    this.#apart(path, full ? 'full' : 'old', async () => {
      const foreign = await this.#claim(path);
      if (foreign !== undefined) return this.#options.log.warn({ path, reason: foreign }, 'files stay');
      const before = this.#stale.get(path);
      const atMs = this.#now();
      const { removed, ages } = await removeStale(
        kept,
        full,
        before?.ages ?? this.#ages,
        atMs - (before?.atMs ?? atMs),
      );
      this.#stale.set(path, { ages, atMs });
      if (removed.length > 0)
        this.#options.log.info({ path, removed }, 'files that were wrong and put aside are removed');
      await this.#keepAges();
    });
  }

  /** Why nothing goes from there. Where a folder is not there yet, or may not be written, nothing is to be claimed. */
  async #claim(folder: string): Promise<string | undefined> {
    if (!this.#owner) return undefined;
    const device = this.#devices[folder];
    try {
      const system = this.#options.stateDirectory;
      const gone = device === undefined ? undefined : await vanished(folder, { device, system });
      const not = gone ?? (await claim(folder, this.#owner));
      if (not === undefined) await this.#keepDevice(folder, await deviceOf(folder));
      return not;
    } catch {
      return undefined;
    }
  }

  async #keepDevice(folder: string, device: string): Promise<void> {
    if (this.#devices[folder] === device) return;
    this.#devices = { ...this.#devices, [folder]: device };
    await replaceFile(join(this.#options.folder, DEVICES_FILE), JSON.stringify(this.#devices), 0o600);
  }

  /** What passes while no process of this server lives does not count: they stay longer. */
  async #keepAges(): Promise<void> {
    const seen = [...this.#stale.values()].map(({ ages }) => ages);
    const unseen = Object.entries(this.#ages).filter(([path]) => !this.#stale.has(dirname(path)));
    const text = JSON.stringify(Object.assign(Object.fromEntries(unseen), ...seen));
    await replaceFile(join(this.#options.folder, STALE_FILE), text, 0o600);
  }

  async #tell(): Promise<void> {
    const now = this.#now();
    if (now - this.#told.atMs < TOLD_EVERY_MS) return;
    const told: Pulls = {
      pulls: reportsOf(this.#tasks, now),
      copiedBytes: this.#copiedBytes,
      blamed: this.#blamed,
    };
    const text = JSON.stringify(told);
    if (text === this.#told.text) return;
    await replaceFile(join(this.#options.folder, PULLS_FILE), text, 0o600);
    this.#told = { text, atMs: now };
  }
}

type Kept = Pick<StoreWants, 'folder' | 'whole' | 'keepStaleSeconds'>;

/** Of each folder, whatever stores have it: what is right for one of them and no other lacks, and how long what was put aside stays at most. Pure. */
function keptIn(wants: readonly StoreWants[]): readonly Kept[] {
  return [...Map.groupBy(wants, ({ folder }) => folder)].map(([folder, stores]) => {
    const lacking = new Set(stores.flatMap(({ files }) => files.map(({ name }) => name)));
    const whole = new Set(stores.flatMap((store) => store.whole).filter((name) => !lacking.has(name)));
    const keepStaleSeconds = Math.max(...stores.map((store) => store.keepStaleSeconds));
    return { folder, whole: [...whole], keepStaleSeconds };
  });
}
