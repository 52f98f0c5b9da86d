/**
 * Servers that copy the files of versions to each other, in steps, by the real rules: what is right (`reconcile/vdisk`), what a server lacks
 * (`store/wants.ts`), which it takes (`work/pulls.ts`), what may go (`store/stale.ts`), who keeps a copy (`farm/spread.ts`) and who gives one back (`store/giveback.ts`). Disks, processes and the network are played.
 */
import { createHash } from 'node:crypto';
import { manifestDigest } from '../../../src/farm/files.ts';
import type { FarmSnapshot, Server, Version, VersionFile } from '../../../src/farm/model.ts';
import { ok } from '../../../src/kit/result.ts';
import { giveBackOrders } from '../../../src/reconcile/vdisk/giveback.ts';
import { apart, chosenStatus, spreadOf } from '../../../src/reconcile/vdisk/spread.ts';
import { judge, type VDiskFindings, type VersionJudged, vdiskStatus } from '../../../src/reconcile/vdisk/status.ts';
import type { VDisk } from '../../../src/resources/kinds.ts';
import type { FarmKnowledge } from '../../../src/store/deletion.ts';
import type { Digest } from '../../../src/store/digests.ts';
import { judgeGiveBack } from '../../../src/store/giveback.ts';
import type { FileFacts, Inventory } from '../../../src/store/inventory.ts';
import { copyingOf } from '../../../src/store/pulls.ts';
import type { CopyFacts } from '../../../src/store/report.ts';
import { agedBy, mayGo, type StaleAges, staleName } from '../../../src/store/stale.ts';
import { type StoreWants, type WantedFile, wantsIn } from '../../../src/store/wants.ts';
import { type PullTask, planPulls, pullEnded, pullStarted, reportsOf } from '../../../src/work/pulls.ts';
import type { Ending } from '../../../src/work/queue.ts';
import { aServer, aSnapshot, aVDisk as aVDiskRow, aVersion } from '../../builders/farm.ts';
import { aVDisk } from '../../builders/resources.ts';

export const NAMES = ['lab.raw', 'lab.1.raw'] as const;
export type Name = (typeof NAMES)[number];
const FOLDER = '/srv';
const STEP_MS = 1_000;
/** As `store/inventory.ts` has it. */
const FRESH_STEPS = 10;
const KEEP_STALE_SECONDS = 40;
const REPLACE_AFTER_SECONDS = 30;
/** As `replica/known.ts` has it: nothing is done by a replica that is older. */
const REPLICA_STEPS = 60;
const STORE = {
  ...{ name: 'images', pools: [], servers: [], local: { path: FOLDER, nodes: {} } },
  replication: { parallel: 2, keepStaleSeconds: KEEP_STALE_SECONDS },
};

const digests = new Map<string, string>();
function sha256(content: string): string {
  const known = digests.get(content) ?? createHash('sha256').update(content).digest('hex');
  digests.set(content, known);
  return known;
}
const asFile = (name: string, content: string): VersionFile => ({ name, sizeBytes: 1_000, sha256: sha256(content) });
const contentOf = (name: string, content: string): NonNullable<Version['content']> => {
  const files = [asFile(name, content)];
  return { manifest: manifestDigest(files), files };
};

interface File {
  content: string;
  /** Another after each write; what rots keeps it. */
  readonly identity: string;
  readonly writtenAt: number;
}

interface Digested {
  readonly identity: string;
  readonly content: string;
}

/** A process that pulls: when it ends, and what it was told. */
interface Pulling {
  readonly file: WantedFile;
  readonly sources: readonly string[];
  readonly endsAt: number;
}

export class Node {
  readonly name: string;
  isAlive = true;
  /** Its disk answers. */
  isMounted = true;
  isFull = false;
  /** Since when devices stream from it. */
  usedSince: number | undefined;
  silentSince = 0;
  /** When a person, or rot, changed a file. */
  readonly harmedAt = new Map<string, number>();
  /** What its replica says, and as of when. */
  known:
    | { readonly at: number; readonly copies: FarmKnowledge['copies']; readonly used: readonly string[] }
    | undefined;
  /** It is ordered to give its copy back. */
  isOrdered = false;
  /** Of its folder: two may have one. */
  readonly files: Map<string, File>;
  readonly volume: string;
  /** Kept over a crash, as `digests.json`. */
  readonly digested = new Map<string, Digested>();
  readonly hashing = new Set<string>();
  /** Kept over a crash. */
  wants: readonly StoreWants[] = [];
  snapshot: FarmSnapshot | undefined;
  tasks: ReadonlyMap<string, PullTask> = new Map();
  stale: StaleAges = {};
  staleMs = 0;
  readonly running = new Map<string, Pulling>();
  reports: readonly CopyFacts[] = [];
  constructor(name: string, folder?: Map<string, File>) {
    this.name = name;
    this.files = folder ?? new Map();
    this.volume = `${folder ? 'shared' : name} 1`;
  }

  mount(): void {
    this.isMounted = !this.isMounted;
  }
}

export class World {
  readonly nodes: readonly Node[];
  /** Pairs of names that do not reach each other. */
  readonly cuts = new Set<string>();
  /** What the farm database says is right. */
  readonly recorded = new Map<number, NonNullable<Version['content']>>();
  /** What the resource says is right. */
  readonly stated = new Map<number, string>();
  readonly broken: string[] = [];
  judged: readonly VersionJudged[] = [];
  #step = 0;
  starts = 0;
  /** How often a copy was given back. */
  gives = 0;
  #writes = 0;
  /** How many copies are wanted; absent: all. */
  readonly #wanted: number | undefined;
  /** As the VDisk's says. */
  #status: VDisk['status'] = {};
  #copies: FarmKnowledge['copies'] = [];
  #ordered: readonly string[] = [];

  /** `shared`: of that many servers, from the last one on, the folders are one, as of a NAS that people mounted. */
  constructor(servers: number, wanted?: number, shared = 0) {
    this.#wanted = wanted;
    const folder = new Map<string, File>();
    this.nodes = Array.from(
      { length: servers },
      (_, at) => new Node(`node-${'abcdef'[at]}`, at >= servers - shared ? folder : undefined),
    );
  }

  at(index: number): Node {
    return this.nodes[index % this.nodes.length] as Node;
  }

  /** A person writes a file over what lies there, or takes it away. */
  person(node: Node, name: Name, content: string | undefined): void {
    node.harmedAt.set(name, this.#step);
    if (content === undefined) node.files.delete(name);
    else this.#write(node, name, content, this.#step);
  }

  /** It changes, and nobody is told. */
  rot(node: Node, name: Name): void {
    const file = node.files.get(name);
    node.harmedAt.set(name, this.#step);
    if (file) file.content = `rot ${this.#step}`;
  }

  pass(steps: number): void {
    this.#step += steps;
  }

  /** The resource says what is right, or nothing. */
  state(name: Name, content: string | undefined): void {
    const number = NAMES.indexOf(name);
    if (content === undefined) this.stated.delete(number);
    else this.stated.set(number, contentOf(name, content).manifest);
  }

  cut(one: Node, other: Node): void {
    const pair = [one.name, other.name].sort().join();
    if (!this.cuts.delete(pair)) this.cuts.add(pair);
  }

  crash(node: Node): void {
    node.isAlive = !node.isAlive;
    node.silentSince = this.#step;
    if (node.isAlive) return;
    node.running.clear();
    node.tasks = new Map();
    node.reports = [];
    node.hashing.clear();
  }

  /** All of a file is read again. */
  verify(node: Node, name: Name): void {
    const file = node.files.get(name);
    if (node.isAlive && node.isMounted && file && node.digested.has(name))
      node.digested.set(name, { identity: file.identity, content: file.content });
  }

  look(node: Node): void {
    if (!node.isAlive || !node.snapshot) return;
    const inventory = this.#inventory(node);
    const digestOf = (file: FileFacts): Digest => this.#digest(node, file);
    const [before] = node.wants;
    const now = wantsIn(STORE, FOLDER, node.snapshot, node.name, inventory, digestOf) ?? before;
    node.wants = now ? [now] : [];
    node.reports = node.snapshot.versions.map((version) => this.#report(node, version, inventory, digestOf, now));
  }

  work(node: Node): void {
    if (!node.isAlive) return;
    for (const [path, pulling] of [...node.running]) if (pulling.endsAt <= this.#step) this.#end(node, path, pulling);
    const { tasks, start, kill } = planPulls(node.wants, node.tasks, this.#nowMs);
    node.tasks = tasks;
    for (const path of kill) node.running.delete(path);
    for (const task of start) {
      const path = `${FOLDER}/${task.file.name}`;
      this.starts++;
      node.tasks = new Map(node.tasks).set(path, pullStarted(task, this.#nowMs));
      const sources = task.sources.map(({ name }) => name);
      node.running.set(path, { file: task.file, sources, endsAt: this.#step + 1 + (this.starts % 6) });
    }
    for (const store of node.wants) this.#sweep(node, store);
  }

  /** The operator looks at what those that answer say, and records what is right. */
  operate(): void {
    const vdisk = { ...vdiskOf(this.stated, this.#wanted), status: this.#status };
    const holders = this.nodes.map((node) => ({
      ...{
        server: node.name,
        folder: FOLDER,
        reachable: node.isAlive && node.reports.length > 0,
        reports: node.reports,
      },
      ...{ silentMs: node.isAlive ? 0 : (this.#step - node.silentSince) * STEP_MS, unmanaged: [], work: [] },
      store: {
        state: node.isMounted ? 'Accessible' : 'Unreachable',
        freeBytes: node.isFull ? 0 : 9_000,
        totalBytes: 10_000,
      } as const,
    }));
    const recorded = new Map([...this.recorded].map(([number, { manifest }]) => [number, { manifest }]));
    const count = this.#wanted;
    const findings: VDiskFindings = {
      ...{ holders, recorded, overrides: [], devices: 0, nowSeconds: this.#step },
      ...(count === undefined
        ? {}
        : { wanted: { count, replicates: true, replaceAfterSeconds: REPLACE_AFTER_SECONDS } }),
    };
    const all = judge(vdisk, findings);
    const spread = spreadOf(vdisk, findings, all);
    this.judged = apart(all, spread);
    for (const { number, content } of this.judged)
      if (content) this.recorded.set(number, { manifest: content.manifest, files: [...content.files] });
    if (!spread) return;
    this.#status = vdiskStatus(vdisk, findings, this.judged, new Date(0), chosenStatus(spread));
    this.#copies = this.judged.flatMap(({ number, copies, others = [] }) =>
      [...copies, ...others].map(({ server, state }) => ({ server, vdisk: 'lab', version: number, state })),
    );
    const seen = this.nodes
      .filter(({ isAlive, reports }) => isAlive && reports.length > 0)
      .map(({ name, volume, reports, isMounted }) => ({
        ...{ name, copies: reports },
        stores: [{ name: STORE.name, path: FOLDER, ...(isMounted ? { volume } : {}) }],
      }));
    const facts = { vdisk: { ...vdisk, status: this.#status }, store: STORE, seen, nowSeconds: this.#step };
    this.#ordered = this.nodes
      .filter(({ name, usedSince }) => giveBackOrders(name, { ...facts, isUsed: usedSince !== undefined }).length > 0)
      .map(({ name }) => name);
  }

  /** Devices begin or end to stream from it. */
  use(node: Node): void {
    node.usedSince = node.usedSince === undefined ? this.#step : undefined;
  }

  /** What the operator orders reaches it. */
  order(node: Node): void {
    node.isOrdered = this.#ordered.includes(node.name);
  }

  /** It does what was ordered, however long ago. */
  give(node: Node): void {
    const { snapshot, known } = node;
    if (!node.isOrdered || !node.isAlive || !node.isMounted || !snapshot || !known) return;
    if (this.#step - known.at >= REPLICA_STEPS) return;
    const sessions = known.used.map((server) => ({ device: 'pc1', vdisk: 'lab', server }));
    const { name: server, volume, files } = node;
    const read = new Map(
      [...files].map(([name, { identity, content }]) => [name, { identity, sha256: sha256(content) }] as const),
    );
    const judged = judgeGiveBack(
      {
        ...{ vdisk: { folder: FOLDER, fileName: 'lab' }, server, volume, read },
        farm: ok({ snapshot, sessions, copies: known.copies }),
      },
      this.#inventory(node),
    );
    if (!judged.ok || judged.value.length === 0) return;
    if (node.usedSince !== undefined && node.usedSince <= known.at)
      this.broken.push(`${node.name} gave back what devices use`);
    this.gives++;
    for (const { name } of judged.value) {
      this.#judgeGiven(node, name);
      node.files.delete(name);
    }
  }

  /** So many others have it: but for what people and rot took since it was last heard of. */
  #judgeGiven(node: Node, name: string): void {
    const right = this.recorded.get(NAMES.indexOf(name as Name))?.files[0]?.sha256;
    const has = (other: Node): boolean => sha256(other.files.get(name)?.content ?? '') === right;
    if (!has(node)) return;
    const isSafe = (other: Node): boolean =>
      has(other) || (other.harmedAt.get(name) ?? Number.NEGATIVE_INFINITY) >= this.#step - 2 * REPLICA_STEPS;
    const others = this.nodes.filter((other) => other !== node && isSafe(other)).length;
    if (others < (this.#wanted ?? 0)) this.broken.push(`${node.name} gave ${name} back, and ${others} others have it`);
  }

  /** Of a version, who has its right file. */
  holdersOf(number: number): readonly string[] {
    const right = this.recorded.get(number)?.files[0]?.sha256;
    const name = NAMES[number] as Name;
    return this.nodes.filter(({ files }) => sha256(files.get(name)?.content ?? '') === right).map((node) => node.name);
  }

  /** A server's replica has what the database has. */
  replicate(node: Node): void {
    const versions = NAMES.map((_, number): Version => {
      const content = this.recorded.get(number);
      const stated = this.stated.get(number);
      const { content: __, ...version } = aVersion({ number });
      return { ...version, ...(content ? { content } : {}), ...(stated === undefined ? {} : { sha256: stated }) };
    });
    const servers = this.nodes.map(({ name }): Server => aServer({ name }));
    const servingOn = (this.#status?.chosen ?? []).map((one) => one.name);
    const copies = this.#wanted === undefined ? {} : { copies: { wanted: this.#wanted, servers: servingOn } };
    node.snapshot = aSnapshot({ stores: [STORE], vdisks: [aVDiskRow(copies)], versions, servers });
    const used = this.nodes.filter(({ usedSince }) => usedSince !== undefined).map(({ name }) => name);
    node.known = { at: this.#step, copies: this.#copies, used };
  }

  /** Which files that are right by the database lie somewhere, under their names. */
  rightThere(): readonly string[] {
    return [...this.recorded].flatMap(
      ([
        number,
        {
          files: [right],
        },
      ]) => {
        const name = NAMES[number] as Name;
        const isThere = this.nodes.some(({ files }) => sha256(files.get(name)?.content ?? '') === right?.sha256);
        return isThere ? [`${name} ${right?.sha256}`] : [];
      },
    );
  }

  get #nowMs(): number {
    return this.#step * STEP_MS;
  }

  #write(node: Node, name: string, content: string, writtenAt: number): void {
    const id = ++this.#writes;
    node.files.set(name, { content, identity: `${id}:1000:${id}:${id}:1:lasting`, writtenAt });
  }

  #inventory(node: Node): Inventory {
    const files = [...node.files].flatMap(([name, { identity, writtenAt }]): FileFacts[] =>
      (NAMES as readonly string[]).includes(name)
        ? [{ name, sizeBytes: 1_000, identity, ...(this.#step - writtenAt < FRESH_STEPS ? { fresh: true } : {}) }]
        : [],
    );
    const state = node.isMounted ? 'Accessible' : 'Unreachable';
    const base = { state, freeBytes: 0, totalBytes: 0, message: '' } as const;
    return node.isMounted ? { ...base, files, volume: node.volume } : { ...base, files: [] };
  }

  /** What is asked for once is known at the next look. */
  #digest(node: Node, { name, identity }: FileFacts): Digest {
    const known = node.digested.get(name);
    if (known?.identity === identity) return { kind: 'ready', sha256: sha256(known.content) };
    const file = node.files.get(name);
    if (file && node.hashing.delete(`${name} ${identity}`)) {
      node.digested.set(name, { identity, content: file.content });
      return { kind: 'ready', sha256: sha256(file.content) };
    }
    node.hashing.add(`${name} ${identity}`);
    return { kind: 'hashing', progressPercent: 0 };
  }

  /** As `store/report.ts` does for a version of one file. */
  #report(
    node: Node,
    version: Version,
    inventory: Inventory,
    digestOf: (file: FileFacts) => Digest,
    wants: StoreWants | undefined,
  ): CopyFacts {
    const name = NAMES[version.number] as Name;
    const base = { vdisk: 'lab', version: version.number, progressPercent: 0, files: [], diskBytes: 0, message: '' };
    const file = inventory.files.find((found) => found.name === name);
    if (!file) return { ...base, state: 'Missing', ...comingOf(node, version, wants, this.#nowMs) };
    const fresh = file.fresh ? { fresh: true as const } : {};
    const digest = digestOf(file);
    if (digest.kind !== 'ready') return { ...base, ...fresh, state: 'Hashing' };
    const files = [{ name, sizeBytes: 1_000, sha256: digest.sha256 }];
    const coming = comingOf(node, version, wants, this.#nowMs);
    return { ...base, ...fresh, ...coming, state: 'Present', files, manifest: manifestDigest(files), diskBytes: 1_000 };
  }

  /** By content: a source gives what it has found to be right, and what does not fit its digest is not taken. */
  #end(node: Node, path: string, { file, sources }: Pulling): void {
    node.running.delete(path);
    const task = node.tasks.get(path);
    if (!task) return;
    const ending = node.isMounted ? this.#take(node, file, sources) : fault('WriteFailed', 'its disk does not answer');
    node.tasks = new Map(node.tasks).set(path, pullEnded(task, ending, this.#nowMs));
  }

  #take(node: Node, { name, sha256: wanted, replaces }: WantedFile, sources: readonly string[]): Ending {
    const giver = this.nodes.find((other) => sources.includes(other.name) && this.#gives(other, node, name, wanted));
    const content = giver?.files.get(name)?.content;
    if (node.isFull) return fault('NoSpace', 'its disk is full');
    if (content === undefined) return fault('NoSource', 'nobody gives it');
    const there = node.files.get(name);
    if (there && there.identity !== replaces) return fault('FileExists', 'another file came');
    // As `store/pullfile.ts` asks before it.
    const isWanted = node.wants.some(({ files }) => files.some((file) => file.name === name && file.sha256 === wanted));
    if (there && !isWanted) return fault('FileExists', 'it is not wanted any more');
    if (there) {
      this.#judgeAside(node, name, there, wanted);
      node.files.delete(name);
      node.files.set(staleName(name, this.#nowMs), there);
    }
    this.#write(node, name, content, Number.NEGATIVE_INFINITY);
    if (sha256(content) !== wanted) this.broken.push(`${node.name} has a wrong ${name}`);
    return { kind: 'made', words: [], made: {} };
  }

  /** Only what was read and found wrong gives way, and never what a person writes at this moment, or what the resource says is right. */
  #judgeAside(node: Node, name: string, there: File, wanted: string): void {
    const known = node.digested.get(name);
    const stated = this.#statedOf(node, name);
    const told = `${node.name} put ${name} (${there.content}) aside`;
    if (known?.identity !== there.identity || sha256(known.content) === wanted)
      this.broken.push(`${told}: it was not found wrong`);
    if (this.#step - there.writtenAt < FRESH_STEPS) this.broken.push(`${told}: it is being written`);
    if (contentOf(name, there.content).manifest === stated)
      this.broken.push(`${told}: the resource says that it is right`);
  }

  /** As the server knows it. */
  #statedOf(node: Node, name: string): string | undefined {
    const number = NAMES.indexOf(name as Name);
    return node.snapshot?.versions.find((version) => version.number === number)?.sha256;
  }

  /** What it serves, and what still is what it was when it was read. */
  #gives(giver: Node, to: Node, name: string, wanted: string): boolean {
    const file = giver.files.get(name);
    const known = giver.digested.get(name);
    return (
      giver.isAlive &&
      giver.isMounted &&
      !this.cuts.has([giver.name, to.name].sort().join()) &&
      file !== undefined &&
      known?.identity === file.identity &&
      sha256(known.content) === wanted &&
      sha256(file.content) === wanted
    );
  }

  #sweep(node: Node, { whole, keepStaleSeconds }: StoreWants): void {
    if (!node.isMounted) return;
    const isWhole = (name: string): boolean => whole.includes(name);
    const files = [...node.files.keys()];
    node.stale = agedBy('', files, node.stale, this.#nowMs - node.staleMs);
    node.staleMs = this.#nowMs;
    const isOld = (file: string): boolean => (node.stale[file] ?? 0) > keepStaleSeconds * 1_000;
    for (const file of mayGo(files, isWhole, isOld)) {
      const name = file.split('.20')[0] as Name;
      const right = node.snapshot?.versions[NAMES.indexOf(name)]?.content?.files[0]?.sha256;
      const known = node.digested.get(name);
      if (known && right !== undefined && sha256(known.content) !== right)
        this.broken.push(`${node.name} removed ${file}, and its ${name} is not right`);
      node.files.delete(file);
    }
  }
}

function comingOf(node: Node, { content }: Version, wants: StoreWants | undefined, nowMs: number): Partial<CopyFacts> {
  const copying = content && wants && copyingOf(content.files, wants, reportsOf(node.tasks, nowMs));
  return copying ? { copying } : {};
}

const vdisks = new Map<string, ReturnType<typeof aVDisk>>();
function vdiskOf(stated: ReadonlyMap<number, string>, wanted?: number): ReturnType<typeof aVDisk> {
  const versions = NAMES.map((_, number) => {
    const digest = stated.get(number);
    return { number, access: 'Production' as const, ...(digest === undefined ? {} : { sha256: digest }) };
  });
  const key = JSON.stringify([versions, wanted]);
  const known = vdisks.get(key) ?? aVDisk({ spec: { versions, ...(wanted === undefined ? {} : { copies: wanted }) } });
  vdisks.set(key, known);
  return known;
}

const fault = (code: string, message: string): Ending => ({ kind: 'fault', code, message });
