/** Devices: what the farm knows of machines, and what people change of it. Each edit leaves its line in `audit`, in the same transaction. */
import { addDevices, type ChangeFault, changeCollection, changeDevice, removeDevice } from '../../database/devices.ts';
import { type DeviceField, type DeviceRow, deviceRow, deviceRows } from '../../database/pages.ts';
import { isText } from '../../devices/input.ts';
import type { Device } from '../../farm/model.ts';
import { ok, type Result } from '../../kit/result.ts';
import { deviceOf, given, isMatch, newDevice, patched, rowsOf, selects, tagOf, withNic } from '../device.ts';
import type { Reading } from '../farms.ts';
import { type After, orderOf, pageOf, pageOfRows } from '../page.ts';
import { invalid, type Problem, problem } from '../problem.ts';
import { type Asked, FARM, type Handled, type Route, route } from '../route.ts';
import {
  Bulk,
  CollectionEdit,
  DeviceNew,
  DevicePatch,
  DeviceShape,
  DevicesQuery,
  DeviceWhole,
  NicReplacement,
  NoQuery,
  pageOfShape,
} from '../schema.ts';
import { actorOf, mayTouch, noDevice, noSessions, of, problemOf, type Stop, sessionsWithin, within } from './touch.ts';

const DEVICE = `${FARM}/devices/{device}`;
/** What the replica holds is not enough for an edit. */
async function find(asked: Asked, why: 'read' | 'edit'): Promise<Result<Reading<DeviceRow>, Problem>> {
  const { device: name = '' } = asked.params;
  if (!isText(name)) return invalid([{ field: 'device', value: name, reason: 'is no text' }]);
  // Who may touch nothing of the farm costs it no question, and is told nothing of its database.
  const some = await within(asked);
  if (!some.ok) return some;
  const read = await asked.farm.read(
    (database) => deviceRow(database, name),
    ({ devices, sessions }) => rowsOf(devices, sessions).find(({ device }) => device.name === name),
  );
  if (!read.ok) return read;
  const { value, stale } = read.value;
  const may = await mayTouch(asked, value?.device.collection);
  if (stale && why === 'edit')
    return problem('DatabaseAway', `nothing was changed: ${stale.reason}. Ask again when the database answers`);
  // It may have come since.
  if (stale && !(value && may.ok))
    return problem(
      'DatabaseAway',
      `${stale.reason}. The replica does not say that there is a device ${name}: ask again`,
    );
  if (!may.ok) return may;
  return value ? ok(stale ? { value, stale } : { value }) : noDevice(name);
}

const withTag = (device: Device): { readonly headers: { readonly etag: string } } => ({
  headers: { etag: tagOf(device) },
});

/** Their sessions, where the caller may see those, too. */
async function withSessions(asked: Asked, rows: readonly DeviceRow[]): Promise<Result<readonly DeviceRow[], Problem>> {
  const streaming = rows.filter(({ session }) => session);
  const seen = await sessionsWithin(
    asked,
    streaming.map(({ device }) => device.collection),
  );
  if (!seen.ok) return seen;
  const some = seen.value && new Set(seen.value);
  return ok(some ? rows.map((row) => (some.has(row.device.collection) ? row : { device: row.device })) : rows);
}

const list = route({
  id: 'listDevices',
  method: 'GET',
  path: `${FARM}/devices`,
  summary: 'Devices, those of the collections that the caller may list',
  right: of('list'),
  query: DevicesQuery,
  answer: { status: 200, shape: pageOfShape(DeviceShape) },
  problems: [404],
  async handle(asked) {
    const { farm, query } = asked;
    const { limit: _, continue: _at, sort: _by, search, ...only } = query;
    const order = orderOf(query, ['name', 'collection']);
    if (!order.ok) return order;
    const allowed = await within(asked);
    if (!allowed.ok) return allowed;
    // Whether a device streams is of its session.
    const seen =
      query.streaming === undefined ? allowed : await sessionsWithin(asked, allowed.value ?? farm.collections);
    if (!seen.ok) return seen;
    if (seen.value?.length === 0) return noSessions(asked);
    const some = seen.value ?? allowed.value;
    const filter = {
      ...only,
      ...(search === undefined ? {} : { search: search.toLowerCase() }),
      ...(some ? { within: some } : {}),
    };
    const at = ({ device }: DeviceRow): After => ({ key: device[field], name: device.name });
    const field = order.value.field as DeviceField;
    const siteOf = (collection: string) => farm.siteOf(collection);
    const read = await farm.read(
      async (database) => {
        const rows = await deviceRows(database, filter, { ...order.value, field });
        return rows.ok ? ok(pageOfRows(rows.value, order.value, at)) : rows;
      },
      ({ devices, sessions }) => pageOf(rowsOf(devices, sessions).filter(selects(filter, siteOf)), order.value, at),
    );
    if (!read.ok) return read;
    const { value: page, stale } = read.value;
    const rows = await withSessions(asked, page.items);
    if (!rows.ok) return rows;
    const items = rows.value.map((row) => given(row, siteOf));
    return ok({ body: { ...page, items, ...(stale ? { stale } : {}) } });
  },
});

const get = route({
  id: 'getDevice',
  method: 'GET',
  path: DEVICE,
  summary: 'A device',
  right: of('get'),
  query: NoQuery,
  answer: { status: 200, shape: DeviceShape },
  async handle(asked) {
    const found = await find(asked, 'read');
    if (!found.ok) return found;
    const { value, stale } = found.value;
    const rows = await withSessions(asked, [value]);
    if (!rows.ok) return rows;
    const [row = value] = rows.value;
    return ok({ body: given(row, (name) => asked.farm.siteOf(name), stale), ...withTag(value.device) });
  },
});

const add = route({
  id: 'addDevice',
  method: 'POST',
  path: `${FARM}/devices`,
  summary: 'Add a device; adding the same again changes nothing',
  right: of('create'),
  query: NoQuery,
  body: DeviceNew,
  answer: { status: 201, shape: DeviceShape },
  problems: [409, 413, 415],
  async handle(asked) {
    const may = await mayTouch(asked, asked.body.collection);
    if (!may.ok) return may;
    const device = newDevice(asked.body);
    if (!device.ok) return device;
    const done = await asked.farm.edit((database) => addDevices(database, [device.value], actorOf(asked)));
    if (!done.ok) return done;
    if (!done.value.ok) return problemOf(asked, done.value.error);
    const body = given({ device: device.value }, (name) => asked.farm.siteOf(name));
    return ok({ status: 201, body, ...withTag(device.value) });
  },
});

/** The device may have gone elsewhere since it was read: judged again where it is changed. */
function judge(asked: Asked, device: Device, collection: string, stop: Stop): ChangeFault | undefined {
  const found = isMatch(asked.ifMatch, device)
    ? device.collection === collection || asked.scope.isWhole
      ? undefined
      : problem('Conflict', `device ${device.name} was moved to another collection meanwhile: ask again`)
    : problem(
        'Changed',
        `device ${device.name} has the ETag ${tagOf(device)} now, not ${asked.ifMatch}: read it again, and decide again`,
      );
  if (!found || found.ok) return undefined;
  stop.problem = found.error;
  return { code: 'Conflict', message: found.error.message };
}

async function change(asked: Asked, become: (device: Device) => Result<Device, Problem>): Handled {
  const found = await find(asked, 'edit');
  if (!found.ok) return found;
  const { device } = found.value.value;
  const wanted = become(device);
  if (!wanted.ok) return wanted;
  const may = await mayTouch(asked, wanted.value.collection);
  if (!may.ok) return may;
  const stop: Stop = {};
  const done = await asked.farm.edit((database) =>
    changeDevice(
      database,
      device.name,
      (now) => {
        const wrong = judge(asked, now, device.collection, stop);
        if (wrong) return { ok: false, error: wrong };
        const after = become(now);
        if (after.ok && (after.value.collection === wanted.value.collection || asked.scope.isWhole)) return after;
        stop.problem = after.ok ? undefined : after.error;
        return {
          ok: false,
          error: { code: 'Conflict', message: `device ${now.name} was changed meanwhile: ask again` },
        };
      },
      actorOf(asked),
    ),
  );
  if (stop.problem) return { ok: false, error: stop.problem };
  if (!done.ok) return done;
  if (!done.value.ok) return problemOf(asked, done.value.error);
  if (!done.value.value) return noDevice(device.name);
  const { after } = done.value.value;
  return ok({ body: given({ device: after }, (name) => asked.farm.siteOf(name)), ...withTag(after) });
}

const EDIT = {
  right: of('update'),
  query: NoQuery,
  answer: { status: 200, shape: DeviceShape },
  problems: [409, 412, 413, 415],
} as const;

const put = route({
  ...EDIT,
  id: 'replaceDevice',
  method: 'PUT',
  path: DEVICE,
  summary: 'All of a device, but its name. What streams goes on; disabled it is stopped within seconds',
  body: DeviceWhole,
  handle: (asked) => change(asked, ({ name }) => deviceOf(name, asked.body)),
});

const patch = route({
  ...EDIT,
  id: 'changeDevice',
  method: 'PATCH',
  path: DEVICE,
  summary: 'Something of a device, as a merge patch (RFC 7396)',
  body: DevicePatch,
  handle: (asked) => change(asked, (device) => patched(device, asked.body)),
});

const replaceNic = route({
  ...EDIT,
  id: 'replaceNic',
  method: 'POST',
  path: `${DEVICE}/replace-nic`,
  summary: 'The machine has a new network card: its MAC takes the place of the old one',
  body: NicReplacement,
  handle: (asked) => change(asked, (device) => withNic(device, asked.body)),
});

const remove = route({
  id: 'removeDevice',
  method: 'DELETE',
  path: DEVICE,
  summary: 'Remove a device; if it streams, it is stopped within seconds',
  right: of('delete'),
  query: NoQuery,
  answer: { status: 204 },
  problems: [409, 412],
  async handle(asked) {
    const found = await find(asked, 'edit');
    if (!found.ok) return found;
    const { device } = found.value.value;
    const stop: Stop = {};
    const done = await asked.farm.edit((database) =>
      removeDevice(database, device.name, actorOf(asked), (now) => judge(asked, now, device.collection, stop)),
    );
    if (stop.problem) return { ok: false, error: stop.problem };
    if (!done.ok) return done;
    if (!done.value.ok) return problemOf(asked, done.value.error);
    return done.value.value ? ok({ status: 204 }) : noDevice(device.name);
  },
});

const bulk = route({
  id: 'changeCollection',
  method: 'PATCH',
  path: `${FARM}/collections/{collection}/devices`,
  summary: 'All devices of a collection, or none: enabled, class, or where they go',
  right: of('update'),
  query: NoQuery,
  body: CollectionEdit,
  answer: { status: 200, shape: Bulk },
  problems: [409, 413, 415],
  async handle(asked) {
    const { collection = '' } = asked.params;
    for (const touched of [collection, asked.body.collection ?? collection]) {
      const may = await mayTouch(asked, touched);
      if (!may.ok) return may;
    }
    if (!asked.farm.collections.includes(collection))
      return problem(
        'NotFound',
        `Farm ${asked.farm.name} has no collection ${collection}; it has ${asked.farm.collections.join(', ') || 'none'}`,
      );
    const done = await asked.farm.edit((database) =>
      changeCollection(database, collection, asked.body, actorOf(asked)),
    );
    if (!done.ok) return done;
    return done.value.ok ? ok({ body: done.value.value }) : problemOf(asked, done.value.error);
  },
});

export const deviceRoutes: readonly Route[] = [list, add, get, put, patch, remove, replaceNic, bulk];
