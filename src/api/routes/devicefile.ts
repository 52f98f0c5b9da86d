/** Devices as a file: all that the caller may list, and all or nothing of what they bring. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Static, Type } from 'typebox';
import { addDevices, neighboursOf } from '../../database/devices.ts';
import { devicesAfter, propertyNames } from '../../database/pages.ts';
import { deviceFile, MAX_PROPERTY_NAMES, parseDeviceFile } from '../../devices/csv.ts';
import { judgeFile } from '../../devices/judge.ts';
import type { Device } from '../../farm/model.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import { slices } from '../../kit/slices.ts';
import type { OpenFarm } from '../farms.ts';
import { invalid, problem } from '../problem.ts';
import { type Asked, CSV, FARM, type Handled, type Route, route } from '../route.ts';
import { Imported, ImportQuery, NoQuery } from '../schema.ts';
import { actorOf, mayTouch, of, problemOf, type Stop, within, wordsFor } from './touch.ts';

const DEVICE_FILE = `${FARM}/devices.csv`;

/** Farms of which a file is read: all its devices are in memory meanwhile. */
const importing = new WeakSet<OpenFarm>();

/** Devices of one write: what an export holds in memory is two of them, however slowly it is taken. */
const PAGE = 200;

/** Collections; undefined: all. */
type Allowed = readonly string[] | undefined;

async function alone(busy: WeakSet<OpenFarm>, farm: OpenFarm, work: () => Handled): Handled {
  if (busy.has(farm))
    return problem('TooMany', `another file of Farm ${farm.name} is at work: ask again when it is done`);
  busy.add(farm);
  try {
    return await work();
  } finally {
    busy.delete(farm);
  }
}

const exportFile = route({
  id: 'exportDevices',
  method: 'GET',
  path: DEVICE_FILE,
  summary: 'All devices that the caller may list, as the CSV that import takes',
  right: of('list'),
  query: NoQuery,
  answer: { status: 200, type: CSV, shape: Type.String() },
  problems: [409],
  async handle(asked) {
    const allowed = await within(asked);
    return allowed.ok ? exported(asked, allowed.value) : allowed;
  },
});

/** Where a file begins: its columns, and how it goes on. */
interface Beginning {
  readonly names: readonly string[];
  readonly pages: () => AsyncIterable<readonly Device[]>;
}

async function exported({ farm }: Asked, allowed: Allowed): Handled {
  const some = allowed && new Set(allowed);
  const read = await farm.read<Beginning>(
    async (database) => {
      const names = await propertyNames(database, allowed, MAX_PROPERTY_NAMES);
      return names.ok ? ok({ names: names.value, pages: () => pagesOf(farm, allowed) }) : names;
    },
    ({ devices }) => {
      const seen = some ? devices.filter(({ collection }) => some.has(collection)) : devices;
      const names = new Set(seen.flatMap(({ properties }) => Object.keys(properties)));
      return {
        names: [...names],
        pages: async function* () {
          yield* slices(seen, PAGE);
        },
      };
    },
  );
  if (!read.ok) return read;
  const { value, stale } = read.value;
  const file = deviceFile(value.names);
  if (!file.ok) return problem('Conflict', file.error.message);
  const { head, lines } = file.value;
  const known = new Set(value.names);
  return ok({
    stream: (response) => {
      response.writeHead(200, {
        'content-type': `${CSV}; charset=utf-8`,
        'cache-control': 'no-store',
        ...(stale ? { 'bootfarm-stale-since': stale.since } : {}),
      });
      const texts = async function* (): AsyncGenerator<string> {
        yield head;
        for await (const devices of value.pages()) {
          // It would be a file without it, and nobody would know.
          const late = devices.flatMap(({ properties }) => Object.keys(properties)).find((name) => !known.has(name));
          if (late !== undefined) throw new Error(`property ${late} came while devices were written`);
          yield lines(devices);
        }
      };
      // Whoever takes it slowly is waited for; a file that cannot go on ends torn, which the client sees.
      void pipeline(Readable.from(texts(), { objectMode: true, highWaterMark: 1 }), response).catch(() =>
        response.destroy(),
      );
    },
  });
}

/** As they are when each page is read: one that stays is neither lost nor repeated. */
async function* pagesOf(farm: OpenFarm, allowed: Allowed): AsyncGenerator<readonly Device[]> {
  for (let after = ''; ; ) {
    const from = after;
    const page = await farm.read((database) => devicesAfter(database, allowed, from, PAGE));
    if (!page.ok) throw new Error(page.error.message);
    const { value } = page.value;
    const last = value.at(-1);
    if (!last) return;
    yield value;
    after = last.name;
  }
}

const importFile = route({
  id: 'importDevices',
  method: 'POST',
  path: DEVICE_FILE,
  summary: 'Add all devices of a CSV file, or none: every bad line is named',
  right: of('create'),
  query: ImportQuery,
  body: CSV,
  answer: { status: 200, shape: Imported },
  problems: [409, 413, 415, 422],
  // Whether they may at all: before the file is read, which takes a while.
  async handle(asked) {
    const allowed = await within(asked);
    return allowed.ok ? alone(importing, asked.farm, () => imported(asked, allowed.value)) : allowed;
  },
});

async function imported(asked: Asked<Static<typeof ImportQuery>>, allowed: Allowed): Handled {
  const { dryRun = false } = asked.query;
  const stop: Stop = {};
  const file = parseDeviceFile(String(asked.body));
  if (!file.ok && file.error.code === 'TooLarge') return problem('TooLarge', file.error.message);
  if (!file.ok) return invalid([{ line: 1, field: 'header', value: '', reason: file.error.message }], 'BadLines');
  const named = file.value.good.map(({ device }) => device);
  for (const collection of new Set(named.map((device) => device.collection))) {
    const may = await mayTouch(asked, collection);
    if (!may.ok) return may;
  }
  const done = await asked.farm.edit(async (database): Promise<Result<{ added: number; unchanged: number }, Fault>> => {
    const there = await neighboursOf(database, named);
    if (!there.ok) return there;
    const before = new Set(there.value.byName.keys());
    const { good, bad, badLines } = judgeFile(file.value, there.value, wordsFor(allowed));
    if (badLines > 0) {
      const complaints = bad.map(({ column, ...complaint }) => ({ ...complaint, field: column }));
      const wrong = invalid(complaints, 'BadLines');
      const { message } = wrong.error;
      stop.problem = {
        ...wrong.error,
        message: `nothing was imported: ${badLines} of the lines are bad, ${good.length} are good. ${message}`,
      };
      return { ok: false, error: stop.problem };
    }
    const unchanged = good.filter(({ device }) => before.has(device.name)).length;
    if (dryRun) return ok({ added: good.length - unchanged, unchanged });
    return addDevices(database, named, actorOf(asked));
  });
  if (stop.problem) return { ok: false, error: stop.problem };
  if (!done.ok) return done;
  return done.value.ok ? ok({ body: { ...done.value.value, dryRun } }) : problemOf(asked, done.value.error);
}

export const deviceFileRoutes: readonly Route[] = [exportFile, importFile];
