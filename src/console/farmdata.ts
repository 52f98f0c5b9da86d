/** All that the page knows of one farm: read once, kept by the stream of changes, and said to be old while that is lost. */
import { batch, computed, type Signal, signal } from '@preact/signals';
import { all, askJson, pages } from './ask.ts';
import { List, type View } from './list.ts';
import { type Link, listen } from './live.ts';
import { byName, type Machine, machineOf, withDevice, withSession } from './machine.ts';
import type { Change, Device, Farm, Pool, Reachable, Server, Session, Store, VDisk } from './shapes.ts';

const unread = <T>(): Signal<View<T>> => signal({ state: 'unread', items: new Map() });

/** Lists are not read more often, however much changes. */
const READ_EVERY_MS = 3_000;
/** An hour in minutes, and eight of them. */
const POINTS = 480;
const POINT_MS = 60_000;

export interface Point {
  readonly at: number;
  readonly streaming: number;
  readonly booting: number;
}

export class FarmData {
  readonly namespace: string;
  readonly name: string;
  readonly link = signal<Link>({ state: 'connecting' });
  readonly farm = signal<Farm | undefined>(undefined);
  readonly problem = signal<string | undefined>(undefined);
  readonly database = signal<Reachable | undefined>(undefined);
  readonly servers = unread<Server>();
  readonly stores = unread<Store>();
  readonly vdisks = unread<VDisk>();
  /** They are in no change: read as often as the servers of theirs change. */
  readonly pools = unread<Pool>();
  readonly machines = unread<Machine>();
  readonly points = signal<readonly Point[]>([]);
  /** Since when what is shown may be old; undefined: it is not. */
  readonly oldSince = computed(() => {
    const link = this.link.value;
    return link.state === 'lost' || link.state === 'ended' ? link.since : undefined;
  });
  /** Names in order: they change less often than what they are of. */
  readonly names = computed(() => [...this.machines.value.items.keys()].sort(byName));
  readonly #lists: { readonly [Kind in 'servers' | 'stores' | 'vdisks' | 'pools']: List<never, never> };
  readonly #machines: List<Device, Machine>;
  readonly #leave: () => void;
  #readAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #poolsTimer: ReturnType<typeof setTimeout> | undefined;
  /** What does not change is a line, too. */
  readonly #pointTimer = setInterval(() => this.#point(), POINT_MS);

  constructor(namespace: string, name: string) {
    this.namespace = namespace;
    this.name = name;
    this.#lists = {
      servers: this.#list('servers', this.servers),
      stores: this.#list('stores', this.stores),
      vdisks: this.#list('vdisks', this.vdisks),
      pools: this.#list('pools', this.pools),
    };
    this.#machines = new List<Device, Machine>({
      read: () => pages<Device>(this.path('/devices')),
      keyOf: (device) => device.name,
      itemOf: machineOf,
      publish: (view) => {
        this.machines.value = view;
      },
    });
    this.#leave = listen(this.path('/events'), {
      link: (link) => {
        this.link.value = link;
      },
      reset: (database) => {
        this.database.value = database;
        this.#wish();
      },
      changes: (changes) => batch(() => this.#take(changes)),
    });
    this.#wish();
  }

  path(rest: string): string {
    return `/farms/${encodeURIComponent(this.namespace)}/${encodeURIComponent(this.name)}${rest}`;
  }

  /** Devices are many: they are read where a page shows them, and kept from then on. */
  wantMachines(): void {
    if (!this.#machines.isRead) void this.#machines.read();
  }

  again(): void {
    this.#wish();
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#poolsTimer);
    clearInterval(this.#pointTimer);
    this.#leave();
  }

  #list<T extends { readonly name: string }>(kind: string, into: Signal<View<T>>): List<never, never> {
    return new List<T, T>({
      read: () => pages<T>(this.path(`/${kind}`)),
      keyOf: ({ name }) => name,
      itemOf: (item) => item,
      publish: (view) => {
        into.value = view;
      },
    }) as unknown as List<never, never>;
  }

  /** Now, or when it is time again: a storm of changes makes one reading. */
  #wish(): void {
    if (this.#timer !== undefined) return;
    const waitMs = Math.max(0, this.#readAt + READ_EVERY_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#readAt = performance.now();
      void this.#read();
    }, waitMs);
  }

  #wishPools(): void {
    this.#poolsTimer ??= setTimeout(() => {
      this.#poolsTimer = undefined;
      void this.#lists.pools.read();
    }, READ_EVERY_MS);
  }

  async #read(): Promise<void> {
    const lists = Object.values(this.#lists).map((list) => list.read());
    if (this.#machines.isRead) lists.push(this.#machines.read());
    try {
      this.#takeFarm(await askJson<Farm>(this.path('')));
      this.problem.value = undefined;
    } catch (thrown) {
      this.problem.value = thrown instanceof Error ? thrown.message : String(thrown);
    }
    await Promise.all(lists);
  }

  #takeFarm(farm: Farm): void {
    this.farm.value = farm;
    this.#point();
  }

  /** None of what is not known now. */
  #point(): void {
    if (!this.farm.value || this.oldSince.value !== undefined) return;
    const { streaming, booting } = this.farm.value.devices ?? { streaming: 0, booting: 0 };
    this.points.value = withPoint(this.points.value, { at: Date.now(), streaming, booting });
  }

  #take(changes: readonly Change[]): void {
    const of = (kind: Change['kind']) => changes.filter((change) => change.kind === kind);
    for (const { value } of of('farms')) if (value) this.#takeFarm(value as Farm);
    for (const { value } of of('database')) if (value) this.#takeDatabase(value as Reachable);
    for (const kind of ['servers', 'stores', 'vdisks'] as const) {
      const edits = of(kind).map(({ name, value }) => [name, () => value as never] as const);
      if (edits.length > 0) this.#lists[kind].edit(edits);
    }
    if (of('servers').length > 0) this.#wishPools();
    const machines = [
      ...of('devices').map(
        ({ name, value }) =>
          [name, (before: Machine | undefined) => (value ? withDevice(value as Device, before) : undefined)] as const,
      ),
      ...of('sessions').map(
        ({ name, value }) =>
          [name, (before: Machine | undefined) => before && withSession(before, value as Session | undefined)] as const,
      ),
    ];
    if (machines.length > 0) this.#machines.edit(machines);
  }

  /** What is stale is said by the lists: they are read anew when it goes and when it is back. */
  #takeDatabase(now: Reachable): void {
    const before = this.database.value;
    this.database.value = now;
    if (before?.reachable !== now.reachable) this.#wish();
  }
}

/** One a minute, the newest of it. */
function withPoint(points: readonly Point[], point: Point): readonly Point[] {
  const last = points.at(-1);
  const isSame = last && Math.floor(last.at / POINT_MS) === Math.floor(point.at / POINT_MS);
  return [...(isSame ? points.slice(0, -1) : points), point].slice(-POINTS);
}

export const listFarms = () => all<Farm>('/farms');
