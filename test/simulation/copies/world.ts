/**
 * Servers that copy the files of versions to each other, in steps, by the real rules: what is right (`reconcile/vdisk`), what a server lacks
 * (`store/wants.ts`), which it takes (`work/pulls.ts`), what may go (`store/stale.ts`), who keeps a copy (`farm/spread.ts`) who gives one back (`store/giveback.ts`), and where a vDisk is that moves (`reconcile/vdisk/moving.ts`). Disks, processes and the network are played.
 */
import { createHash } from 'node:crypto';
import { manifestDigest } from '../../../src/farm/files.ts';
import type { FarmSnapshot, Moving, Server, Store, Version, VersionFile } from '../../../src/farm/model.ts';
import { carried, storesOf } from '../../../src/farm/moving.ts';
import { ok } from '../../../src/kit/result.ts';
import { giveBackOrders, leaveOrders } from '../../../src/reconcile/vdisk/giveback.ts';
import { type CopyHolder, judge, type VDiskFindings, type VersionJudged } from '../../../src/reconcile/vdisk/judge.ts';
import { moveOf, nextMoving } from '../../../src/reconcile/vdisk/moving.ts';
import { apart, chosenStatus, spreadOf } from '../../../src/reconcile/vdisk/spread.ts';
import { vdiskStatus } from '../../../src/reconcile/vdisk/status.ts';
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
const STEP_MS = 1_000;
/** As `store/inventory.ts` has it. */
const FRESH_STEPS = 10;
const KEEP_STALE_SECONDS = 40;
const REPLACE_AFTER_SECONDS = 30;
/** As `replica/known.ts` has it: nothing is done by a replica that is older. */
const REPLICA_STEPS = 60;
const storeOf = (name: string, servers: string[] = []): Store => ({
  ...{ name, pools: [], servers, local: { path: folderOf(name), nodes: {} } },
  replication: { parallel: 2, keepStaleSeconds: KEEP_STALE_SECONDS },
});
const folderOf = (store: string): string => `/srv/${store}`;
const STORE = storeOf('images');

/** A folder of a server: a store on it. */
export interface Place {
  readonly server: string;
  readonly store: string;
}

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

/** A server, or one of its stores: that of two the processes end apart makes more stories, and none less. */
export class Node {
  readonly name: string;
  readonly store: string;
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
  constructor(name: string, folder?: Map<string, File>, store = STORE.name) {
    this.name = name;
    this.store = store;
    this.files = folder ?? new Map();
    this.volume = `${folder ? 'shared' : `${name}/${store}`} 1`;
  }

  get folder(): string {
    return folderOf(this.store);
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
  #ordered: ReadonlySet<Node> = new Set();
  readonly #stores: readonly Store[];
  /** What the resource says. */
  #spec: { readonly store: string; readonly removesOld: boolean };
  /** What the farm database says of it. */
  place: { readonly store: string; readonly moving?: Moving };

  /** `shared`: of that many servers, from the last one on, the folders are one, as of a NAS that people mounted. */
  constructor(servers: number | readonly Place[], wanted?: number, shared = 0) {
    this.#wanted = wanted;
    const folder = new Map<string, File>();
    const places = typeof servers === 'number' ? [] : servers;
    this.nodes =
      typeof servers === 'number'
        ? Array.from(
            { length: servers },
            (_, at) => new Node(`node-${'abcdef'[at]}`, at >= servers - shared ? folder : undefined),
          )
        : places.map(({ server, store }) => new Node(server, undefined, store));
    const offers = Map.groupBy(places, ({ store }) => store);
    this.#stores =
      offers.size === 0
        ? [STORE]
        : [...offers].map(([store, own]) =>
            storeOf(
              store,
              own.map(({ server }) => server),
            ),
          );
    const [first = STORE] = this.#stores;
    this.#spec = { store: first.name, removesOld: false };
    this.place = { store: first.name };
  }

  /** The resource names another store, and the database knows it at once. */
  move(at: number, removesOld: boolean): void {
    const store = this.#storeAt(at);
    this.#spec = { store: store.name, removesOld };
    const { store: name, moving } = carried(aVDiskRow({ store: store.name }), this.place);
    this.place = { store: name, ...(moving ? { moving } : {}) };
  }

  #storeAt(at: number): Store {
    return this.#stores[at % this.#stores.length] ?? STORE;
  }

  #storeOf({ store }: Node): Store {
    return this.#stores.find(({ name }) => name === store) ?? STORE;
  }

  /** Those of the store where it is to be. */
  get holders(): readonly Node[] {
    return this.nodes.filter(({ store }) => store === this.place.store);
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
    const { snapshot } = node;
    const looked = this.nodes
      .filter((other) => other.name === node.name && other !== node)
      .map((other) => ({
        ...{ store: other.store, folder: other.folder, inventory: this.#inventory(other) },
        digestOf: (file: FileFacts) => this.#digest(other, file),
      }));
    const store = this.#storeOf(node);
    const now = wantsIn(store, node.folder, snapshot, node.name, inventory, digestOf, looked) ?? before;
    node.wants = now ? [now] : [];
    const isKnown = snapshot.vdisks.some((vdisk) => storesOf(vdisk).includes(node.store));
    node.reports = (isKnown ? snapshot.versions : []).map((version) => ({
      ...this.#report(node, version, inventory, digestOf, now),
      store: node.store,
    }));
  }

  work(node: Node): void {
    if (!node.isAlive) return;
    for (const [path, pulling] of [...node.running]) if (pulling.endsAt <= this.#step) this.#end(node, path, pulling);
    const { tasks, start, kill } = planPulls(node.wants, node.tasks, this.#nowMs);
    node.tasks = tasks;
    for (const path of kill) node.running.delete(path);
    for (const task of start) {
      const path = `${node.folder}/${task.file.name}`;
      this.starts++;
      node.tasks = new Map(node.tasks).set(path, pullStarted(task, this.#nowMs));
      const sources = task.sources.map(({ name }) => name);
      node.running.set(path, { file: task.file, sources, endsAt: this.#step + 1 + (this.starts % 6) });
    }
    for (const store of node.wants) this.#sweep(node, store);
  }

  /** The operator looks at what those that answer say, and records what is right. */
  operate(): void {
    const vdisk = { ...vdiskOf(this.stated, this.#spec, this.#wanted), status: this.#status };
    const { moving } = this.place;
    const left = this.nodes.filter(({ store }) => moving?.from.includes(store));
    const recorded = new Map([...this.recorded].map(([number, { manifest }]) => [number, { manifest }]));
    const count = this.#wanted;
    const findings: VDiskFindings = {
      ...{ holders: this.holders.map((node) => this.#holder(node)), place: this.place },
      ...(left.length === 0
        ? {}
        : {
            left: left.map((node) => ({
              ...this.#holder(node),
              ...{ of: node.store, streams: this.#isUsed(node.name) ? 1 : 0 },
            })),
          }),
      ...{ recorded, overrides: [], devices: 0, nowSeconds: this.#step },
      ...(count === undefined
        ? {}
        : { wanted: { count, replicates: true, replaceAfterSeconds: REPLACE_AFTER_SECONDS } }),
    };
    const all = judge(vdisk, findings);
    const spread = spreadOf(vdisk, findings, all);
    this.judged = apart(all, spread);
    for (const { number, content } of this.judged)
      if (content) this.recorded.set(number, { manifest: content.manifest, files: [...content.files] });
    const found = moveOf(vdisk, findings, this.judged);
    const next = moving && found && nextMoving(moving, found, findings.holders, false);
    if (moving && found) this.place = { store: this.place.store, ...(next ? { moving: next } : {}) };
    if (!spread && this.#stores.length === 1) return;
    this.#status = vdiskStatus(vdisk, findings, this.judged, new Date(0), spread && chosenStatus(spread));
    this.#copies = this.judged.flatMap(({ number, copies, others = [] }) =>
      [...copies, ...others].map(({ server, state }) => ({ server, vdisk: 'lab', version: number, state })),
    );
    this.#order({ ...vdisk, status: this.#status });
  }

  #holder(node: Node): CopyHolder {
    return {
      ...{
        server: node.name,
        folder: node.folder,
        reachable: node.isAlive && node.reports.length > 0,
        isBlind: !node.isMounted,
        reports: node.reports,
      },
      ...{ silentMs: node.isAlive ? 0 : (this.#step - node.silentSince) * STEP_MS, unmanaged: [], work: [] },
      ...{ volume: node.volume },
      store: {
        state: node.isMounted ? 'Accessible' : 'Unreachable',
        freeBytes: node.isFull ? 0 : 9_000,
        totalBytes: 10_000,
      },
    };
  }

  #isUsed(server: string): boolean {
    return this.nodes.some(({ name, usedSince }) => name === server && usedSince !== undefined);
  }

  /** Who is to give back what. */
  #order(vdisk: VDisk): void {
    const answering = this.nodes.filter(({ isAlive, reports }) => isAlive && reports.length > 0);
    const seen = [...Map.groupBy(answering, ({ name }) => name)].map(([name, own]) => ({
      ...{ name, copies: own.flatMap(({ reports }) => reports) },
      stores: own.map(({ store, folder, volume, isMounted }) => ({
        ...{ name: store, path: folder, ...(isMounted ? { volume } : {}) },
      })),
    }));
    const store = this.#stores.find(({ name }) => name === vdisk.spec.storeRef.name) ?? STORE;
    const facts = { vdisk, store, seen, nowSeconds: this.#step };
    const isOrdered = (node: Node): boolean =>
      node.store === this.place.store
        ? !this.place.moving && giveBackOrders(node.name, { ...facts, isUsed: this.#isUsed(node.name) }).length > 0
        : leaveOrders(node.name, this.#storeOf(node), facts).length > 0;
    this.#ordered = new Set(this.nodes.filter(isOrdered));
  }

  /** Devices begin or end to stream from it. */
  use(node: Node): void {
    node.usedSince = node.usedSince === undefined ? this.#step : undefined;
  }

  /** What the operator orders reaches it. */
  order(node: Node): void {
    node.isOrdered = this.#ordered.has(node);
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
        ...{ vdisk: { folder: node.folder, fileName: 'lab' }, server, volume, read },
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
    if (others < (this.#wanted ?? 1)) this.broken.push(`${node.name} gave ${name} back, and ${others} others have it`);
  }

  hasRight({ files }: Node, number: number): boolean {
    const right = this.recorded.get(number)?.files[0]?.sha256;
    return right !== undefined && sha256(files.get(NAMES[number] as Name)?.content ?? '') === right;
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
    const names = new Set(this.nodes.map(({ name }) => name));
    const servers = [...names].map((name): Server => aServer({ name }));
    const servingOn = (this.#status?.chosen ?? []).map((one) => one.name);
    const copies = this.#wanted === undefined ? {} : { copies: { wanted: this.#wanted, servers: servingOn } };
    const vdisk = aVDiskRow({ ...this.place, ...copies });
    node.snapshot = aSnapshot({ stores: [...this.#stores], vdisks: [vdisk], versions, servers });
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

  #take(node: Node, { name, sha256: wanted, replaces, bases }: WantedFile, sources: readonly string[]): Ending {
    // Another store of this very server, too.
    const isAsked = (other: Node): boolean =>
      other.name === node.name ? bases.some(({ folder }) => folder === other.folder) : sources.includes(other.name);
    const giver = this.nodes.find((other) => isAsked(other) && this.#gives(other, node, name, wanted));
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
function vdiskOf(
  stated: ReadonlyMap<number, string>,
  { store, removesOld }: { readonly store: string; readonly removesOld: boolean },
  wanted?: number,
): ReturnType<typeof aVDisk> {
  const versions = NAMES.map((_, number) => {
    const digest = stated.get(number);
    return { number, access: 'Production' as const, ...(digest === undefined ? {} : { sha256: digest }) };
  });
  const key = JSON.stringify([versions, store, removesOld, wanted]);
  const spec = {
    ...{ versions, storeRef: { name: store }, movePolicy: removesOld ? ('Delete' as const) : ('Retain' as const) },
    ...(wanted === undefined ? {} : { copies: wanted }),
  };
  const known = vdisks.get(key) ?? aVDisk({ spec });
  vdisks.set(key, known);
  return known;
}

const fault = (code: string, message: string): Ending => ({ kind: 'fault', code, message });
