/** Who uses a thing: a table of what happens to a farm, and a property over all that can happen to it. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Asked, inUse, observe, RETURN_MS, type Sight, type Use, type Uses } from './uses.ts';

const use = (server: string, devices: number, vdisk = 'lab'): Use => ({ server, vdisk, devices });
const asked = (instance: string, uses: readonly Use[] = [], more: Partial<Asked> = {}): Asked => ({
  ...{ instance, streams: true, journalEntries: 0, uses },
  ...more,
});

interface Moment {
  /** Absent: the database is away. */
  readonly rows?: readonly Use[];
  readonly servers: Readonly<Record<string, Asked | undefined>>;
}
const whole: Moment = {
  rows: [use('a', 2), use('b', 1)],
  servers: { a: asked('1', [use('a', 2)]), b: asked('1', [use('b', 1)]) },
};
/** It is looked at each second, servers are asked half a second before, for `seconds`; then what is told. */
function goOn(start: { uses?: Uses; told: number; atMs: number }, moment: Moment, seconds: number) {
  let { uses, told, atMs } = start;
  for (let second = 0; second < seconds; second++) {
    atMs += 1_000;
    const servers = new Map(Object.entries(moment.servers));
    const rows = moment.rows ? { rows: { atMs, uses: moment.rows } } : {};
    uses = observe(uses, { atMs, askedMs: atMs - 500, servers, ...rows });
    told = inUse(uses, told, ({ vdisk }) => vdisk === 'lab');
  }
  return { uses: uses as Uses, told, atMs };
}

const RETURNS = RETURN_MS / 1_000;
test.each<{ what: string; happens: readonly (readonly [Moment, number])[]; told: readonly number[] }>([
  { what: 'nothing', happens: [[whole, 1]], told: [3] },
  {
    what: 'two devices end',
    happens: [[{ ...whole, rows: [use('b', 1)] }, 2]],
    told: [1],
  },
  {
    what: 'a server starts again: its sessions are ended, and come back',
    happens: [
      [{ rows: [use('b', 1)], servers: { ...whole.servers, a: asked('2') } }, RETURNS - 1],
      [{ ...whole, servers: { ...whole.servers, a: asked('2', [use('a', 2)]) } }, 60],
    ],
    told: [3, 3],
  },
  {
    what: 'a server starts again, and its devices were switched off',
    happens: [
      [{ rows: [use('b', 1)], servers: { ...whole.servers, a: asked('2') } }, RETURNS],
      [{ rows: [use('b', 1)], servers: { ...whole.servers, a: asked('2') } }, 2],
    ],
    told: [3, 1],
  },
  {
    what: 'a server dies, and its devices go to the other',
    happens: [[{ rows: [use('b', 3)], servers: { ...whole.servers, a: undefined } }, 300]],
    told: [3],
  },
  {
    what: 'a server dies with all its devices, and is taken out',
    happens: [
      [{ rows: [use('a', 2), use('b', 1)], servers: { ...whole.servers, a: undefined } }, 300],
      [{ rows: [use('b', 1)], servers: { b: asked('1', [use('b', 1)]) } }, RETURNS + 2],
    ],
    told: [3, 1],
  },
  {
    what: 'the database is away, and a device boots meanwhile',
    happens: [
      [{ servers: whole.servers }, 300],
      [{ servers: { ...whole.servers, b: asked('1', [use('b', 2)], { journalEntries: 1 }) } }, 1],
    ],
    told: [3, 4],
  },
  {
    what: 'the database and the servers are away',
    happens: [[{ servers: { a: undefined, b: undefined } }, 300]],
    told: [3],
  },
  {
    what: 'the database is back, and one server has not written its journal',
    happens: [[{ ...whole, servers: { ...whole.servers, b: asked('1', [use('b', 2)], { journalEntries: 1 }) } }, 1]],
    told: [4],
  },
  {
    what: 'the database is away, and servers do not say which vDisk they serve',
    happens: [[{ servers: { a: asked('1', [use('a', 2, '')]), b: asked('1', [use('b', 1, '')]) } }, 300]],
    told: [3],
  },
  {
    what: 'a journal waits, and says not which vDisk it is of',
    happens: [
      [
        { rows: [use('a', 2)], servers: { ...whole.servers, b: asked('1', [use('b', 1, '')], { journalEntries: 1 }) } },
        300,
      ],
    ],
    told: [3],
  },
  {
    what: 'a device moves from one server to the other',
    happens: [[{ rows: [use('a', 1), use('b', 2)], servers: whole.servers }, 1]],
    told: [3],
  },
  {
    what: 'a server does not stream yet',
    happens: [[{ rows: [], servers: { ...whole.servers, a: asked('1', [], { streams: false }) } }, 300]],
    told: [3],
  },
])('$what: $told', ({ happens, told }) => {
  let state = goOn({ told: 0, atMs: 0 }, whole, RETURNS + 2);
  const seen: number[] = [];
  for (const [moment, seconds] of happens) {
    state = goOn(state, moment, seconds);
    seen.push(state.told);
  }
  expect(seen).toEqual(told);
});

test('another leader knows what was told, and that alone', () => {
  const empty: Moment = { rows: [], servers: { a: asked('1') } };
  const early = goOn({ told: 3, atMs: 0 }, empty, RETURNS);
  expect([early.told, goOn(early, empty, 2).told]).toEqual([3, 0]);
  expect(inUse(undefined, 3, () => true)).toBe(3);
});

test('what ended after the servers were asked is not believed before they are asked again', () => {
  const calm = goOn({ told: 0, atMs: 0 }, whole, RETURNS + 2);
  const servers = new Map(Object.entries(whole.servers));
  const sight = (more: Partial<Sight>): Sight => ({
    atMs: calm.atMs + 900,
    askedMs: calm.atMs - 500,
    servers,
    ...more,
  });
  const ended = observe(calm.uses, sight({ rows: { atMs: calm.atMs + 900, uses: [] } }));
  expect(inUse(ended, 3, () => true)).toBe(3);
  const restarted = new Map([...servers, ['a', asked('2')]]);
  const late = { atMs: calm.atMs + 1_900, askedMs: calm.atMs + 1_000, servers: restarted };
  expect(inUse(observe(ended, { ...late, rows: { atMs: calm.atMs + 1_900, uses: [] } }), 3, () => true)).toBe(3);
});

const SEED = 20_261_128;
const EVENTS = ['boot', 'end', 'cut', 'kill', 'die', 'start', 'dbDown', 'dbUp', 'leader', 'move', 'none'] as const;
type Event = (typeof EVENTS)[number];

/** Two servers, three devices, a database and an operator; each turn is a second. */
class World {
  nowMs = 0;
  told = 0;
  uses: Uses | undefined;
  isDatabaseUp = true;
  readonly servers = ['a', 'b'].map((name) => ({ name, instance: 1, up: true, journal: new Map<string, boolean>() }));
  /** `lostMs`: without a server since then. */
  readonly devices = ['x', 'y', 'z'].map((name) => ({ name, on: false, server: '', lostMs: 0 }));
  readonly rows = new Map<string, string>();
  answers: { askedMs: number; servers: ReadonlyMap<string, Asked | undefined> } = { askedMs: -1, servers: new Map() };

  happen(event: Event, index: number): void {
    const device = this.devices[index % 3];
    const server = this.servers[index % 2];
    if (!device || !server) return;
    if (event === 'boot' && !device.on && this.servers.some(({ up }) => up)) {
      device.on = true;
      this.attach(device, server.up ? server.name : (this.servers.find(({ up }) => up)?.name ?? ''));
    }
    if (event === 'end' && device.on && device.server) {
      this.write(device.server, device.name, false);
      Object.assign(device, { on: false, server: '' });
    }
    if (event === 'cut') Object.assign(device, { on: false, server: '' });
    if (event === 'move' && device.on && device.server && server.up) this.attach(device, server.name);
    if (event === 'kill' || event === 'die') {
      server.up = false;
      for (const held of this.devices.filter((found) => found.server === server.name))
        Object.assign(held, { server: '', lostMs: this.nowMs });
    }
    if ((event === 'kill' || event === 'start') && !server.up) {
      server.up = true;
      server.instance++;
    }
    if (event === 'dbDown') this.isDatabaseUp = false;
    if (event === 'dbUp') this.isDatabaseUp = true;
    if (event === 'leader') this.uses = undefined;
    this.replay();
  }

  attach(device: World['devices'][number], server: string): void {
    device.server = server;
    this.write(server, device.name, true);
  }

  write(server: string, device: string, streams: boolean): void {
    const found = this.servers.find(({ name }) => name === server);
    if (!this.isDatabaseUp) found?.journal.set(device, streams);
    else if (streams) this.rows.set(device, server);
    else if (this.rows.get(device) === server) this.rows.delete(device);
  }

  /** As a server does when it starts and when the database returns: its journal, all that it serves, and an end to the rest. */
  replay(): void {
    if (!this.isDatabaseUp) return;
    for (const { name, up, journal } of this.servers) {
      if (!up) continue;
      for (const [device, streams] of journal) this.write(name, device, streams);
      journal.clear();
      for (const device of this.devices) if (device.server === name) this.rows.set(device.name, name);
      for (const [device, server] of this.rows)
        if (server === name && !this.devices.some((found) => found.name === device && found.server === name))
          this.rows.delete(device);
    }
  }

  /** A device that has no server finds one within 6 s of its being there. */
  find(): void {
    for (const device of this.devices) {
      if (!device.on || device.server) continue;
      const server = this.servers.find(({ up }) => up);
      if (!server) device.lostMs = this.nowMs;
      else if (this.nowMs - device.lostMs >= 6_000) this.attach(device, server.name);
    }
  }

  ask(): void {
    const servers = this.servers.map(({ name, up, instance, journal }) => {
      const uses = [use(name, this.devices.filter(({ server }) => server === name).length)];
      return [name, up ? asked(`${instance}`, uses, { journalEntries: journal.size }) : undefined] as const;
    });
    this.answers = { askedMs: this.nowMs, servers: new Map(servers) };
  }

  observe(): void {
    const counts = new Map<string, number>();
    for (const server of this.rows.values()) counts.set(server, (counts.get(server) ?? 0) + 1);
    const uses = [...counts].map(([server, devices]) => use(server, devices));
    const rows = this.isDatabaseUp ? { rows: { atMs: this.nowMs, uses } } : {};
    this.uses = observe(this.uses, { atMs: this.nowMs, ...this.answers, ...rows });
    this.told = inUse(this.uses, this.told, () => true);
  }
}

const turn = fc.record({
  event: fc.constantFrom(...EVENTS),
  index: fc.nat(5),
  asks: fc.boolean(),
  looks: fc.boolean(),
  seconds: fc.constantFrom(1, 1, 1, 3, 30),
});

test(`it is never 0 while a session that was told of has not ended, and is 0 in the end (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), (turns) => {
      const world = new World();
      const second = (asks: boolean, looks: boolean): void => {
        world.nowMs += 1_000;
        world.find();
        if (asks) world.ask();
        world.nowMs += 10;
        if (looks) world.observe();
      };
      world.ask();
      for (const { event, index, asks, looks, seconds } of turns) {
        const before = world.told;
        world.happen(event, index);
        for (let n = 0; n < seconds; n++) second(asks || n > 0, looks || n > 0);
        const isOn = world.devices.some(({ on }) => on);
        if (before > 0 && isOn) expect(world.told).toBeGreaterThan(0);
        const isSeen = world.devices.some(({ on, server }) => on && server) && seconds > 1;
        if (isSeen) expect(world.told).toBeGreaterThan(0);
      }
      for (const index of [0, 1, 2]) world.happen('cut', index);
      world.happen('dbUp', 0);
      for (const index of [0, 1]) world.happen('start', index);
      for (let n = 0; n < 25; n++) second(true, true);
      expect(world.told).toBe(0);
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});
