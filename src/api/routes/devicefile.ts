/** Devices as a file: all that the caller may list, and all or nothing of what they bring. */
import { Type } from 'typebox';
import { addDevices, listDevices, neighboursOf } from '../../database/devices.ts';
import { formatDevices, parseDeviceFile } from '../../devices/csv.ts';
import { badLines, judgeFile } from '../../devices/judge.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import { invalid } from '../problem.ts';
import { CSV, FARM, type Route, route } from '../route.ts';
import { Imported, ImportQuery, NoQuery } from '../schema.ts';
import { actorOf, mayTouch, of, problemOf, type Stop, within } from './touch.ts';

const DEVICE_FILE = `${FARM}/devices.csv`;

const exportFile = route({
  id: 'exportDevices',
  method: 'GET',
  path: DEVICE_FILE,
  summary: 'All devices that the caller may list, as the CSV that import takes',
  right: of('list'),
  query: NoQuery,
  answer: { status: 200, type: CSV, shape: Type.String() },
  async handle(asked) {
    const allowed = await within(asked);
    if (!allowed.ok) return allowed;
    const read = await asked.farm.read(
      (database) => listDevices(database),
      ({ devices }) => devices,
    );
    if (!read.ok) return read;
    const { value, stale } = read.value;
    const some = allowed.value && new Set(allowed.value);
    const devices = some ? value.filter(({ collection }) => some.has(collection)) : value;
    return ok({
      body: formatDevices(devices),
      headers: { 'content-type': `${CSV}; charset=utf-8`, ...(stale ? { 'bootfarm-stale-since': stale.since } : {}) },
    });
  },
});

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
  async handle(asked) {
    const { dryRun = false } = asked.query;
    const stop: Stop = {};
    const file = parseDeviceFile(String(asked.body));
    if (!file.ok) return invalid([{ line: 1, field: 'header', value: '', reason: file.error.message }], 'BadLines');
    const named = file.value.good.map(({ device }) => device);
    for (const collection of new Set(named.map((device) => device.collection))) {
      const may = await mayTouch(asked, collection);
      if (!may.ok) return may;
    }
    const done = await asked.farm.edit(
      async (database): Promise<Result<{ added: number; unchanged: number }, Fault>> => {
        const there = await neighboursOf(database, named);
        if (!there.ok) return there;
        const before = new Set(there.value.byName.keys());
        const { good, bad } = judgeFile(file.value, there.value);
        if (bad.length > 0) {
          const complaints = bad.map(({ column, ...complaint }) => ({ ...complaint, field: column }));
          const wrong = invalid(complaints, 'BadLines');
          const { message } = wrong.error;
          stop.problem = {
            ...wrong.error,
            message: `nothing was imported: ${badLines(bad)} of the lines are bad, ${good.length} are good. ${message}`,
          };
          return { ok: false, error: stop.problem };
        }
        const unchanged = good.filter(({ device }) => before.has(device.name)).length;
        if (dryRun) return ok({ added: good.length - unchanged, unchanged });
        return addDevices(database, named, actorOf(asked));
      },
    );
    if (stop.problem) return { ok: false, error: stop.problem };
    if (!done.ok) return done;
    return done.value.ok ? ok({ body: { ...done.value.value, dryRun } }) : problemOf(done.value.error);
  },
});

export const deviceFileRoutes: readonly Route[] = [exportFile, importFile];
