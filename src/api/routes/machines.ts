/** Machines as servers heard them: the boot record of one, why it does not boot, and those that are no device. No server is waited for. */
import type { Static } from 'typebox';
import { databaseData } from '../../database/data.ts';
import { type Added, addDevices, knownMacs, neighboursOf } from '../../database/devices.ts';
import { vdiskCopies } from '../../database/pages.ts';
import { isText } from '../../devices/input.ts';
import { parseMac } from '../../farm/address.ts';
import type { UnknownMachine } from '../../farm/bootrecord.ts';
import type { Copy, Device } from '../../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { askBoots, askUnknown } from '../../operator/boots.ts';
import { explainMachine, findMachine, type Machine, type MachineData, stillUnknown } from '../../operator/explain.ts';
import { given, newDevice, tagOf } from '../device.ts';
import type { Reading, Stale } from '../farms.ts';
import { dataOf, heardUuid } from '../machine.ts';
import { type After, orderOf, pageOf } from '../page.ts';
import { invalid, type Problem, problem } from '../problem.ts';
import { type Asked, FARM, type Route, route } from '../route.ts';
import {
  BootsShape,
  DeviceShape,
  ExplanationShape,
  NoQuery,
  UnknownNew,
  UnknownPage,
  UnknownQuery,
} from '../schema.ts';
import type { FarmServers } from '../servers.ts';
import { actorOf, mayAlso, mayTouch, problemOf, within } from './touch.ts';

const MACHINE = `${FARM}/devices/{device}`;
const RIGHT = { resource: 'boots', verb: 'get', by: 'collection' } as const;

interface Sources {
  readonly data: MachineData;
  readonly copies: (vdisk: string) => Promise<Result<readonly Copy[], Fault>>;
}

/** A name, a MAC, which need not be a device's, or a UUID. Who is bound to a collection hears of its devices alone. */
async function find(asked: Asked): Promise<Result<Reading<Sources & { readonly machine: Machine }>, Problem>> {
  const { device: named = '' } = asked.params;
  if (!isText(named)) return invalid([{ field: 'device', value: named, reason: 'is no text' }]);
  const some = await within(asked);
  if (!some.ok) return some;
  const read = await asked.farm.read<Sources>(
    async (database) => {
      const data = databaseData(database);
      const there = await data.snapshot();
      return there.ok ? ok({ data, copies: (vdisk: string) => vdiskCopies(database, vdisk) }) : there;
    },
    (replica) => ({
      data: dataOf(replica),
      copies: async (vdisk: string) => ok(replica.copies.filter((copy) => copy.vdisk === vdisk)),
    }),
  );
  if (!read.ok) return read;
  const { value: sources, stale } = read.value;
  const found = await findMachine(sources.data, named);
  const may = await mayTouch(asked, found.ok ? found.value.device?.collection : undefined);
  if (!may.ok) return may;
  if (!found.ok)
    return found.error.code === 'NoDevice'
      ? problem('NotFound', found.error.message)
      : problem('DatabaseAway', `${found.error.message}: ask again`);
  return ok({ value: { ...sources, machine: found.value }, ...(stale ? { stale } : {}) });
}

const inTheOpen = (stale: Stale | undefined): object => (stale ? { stale } : {});

const boots = route({
  id: 'getBoots',
  method: 'GET',
  path: `${MACHINE}/boots`,
  summary: 'The last boots of a machine, by name, MAC or UUID: its servers are asked, and who does not answer is named',
  right: RIGHT,
  query: NoQuery,
  answer: { status: 200, shape: BootsShape },
  async handle(asked) {
    const found = await find(asked);
    if (!found.ok) return found;
    const servers = await asked.farm.servers();
    if (!servers.ok) return servers;
    const { machine } = found.value.value;
    const told = await askBoots(servers.value.control, servers.value.places, machine.macs);
    const { device, macs } = machine;
    return ok({
      body: { ...(device ? { device: device.name } : {}), macs, ...told, ...inTheOpen(found.value.stale) },
    });
  },
});

const explanation = route({
  id: 'explainMachine',
  method: 'GET',
  path: `${MACHINE}/explain`,
  summary:
    'Why a machine does not boot, by name, MAC or UUID: its last boot, the first thing in its way, and what to do',
  right: RIGHT,
  query: NoQuery,
  answer: { status: 200, shape: ExplanationShape },
  async handle(asked) {
    const found = await find(asked);
    if (!found.ok) return found;
    const servers = await asked.farm.servers();
    if (!servers.ok) return servers;
    const { control, places } = servers.value;
    const { machine, ...sources } = found.value.value;
    const told = await explainMachine(
      { ...sources, boots: (macs) => askBoots(control, places, macs) },
      machine,
      Date.now(),
      ({ collection }: Device) => mayTouch(asked, collection),
    );
    if (told.ok) return ok({ body: { ...told.value, ...inTheOpen(found.value.stale) } });
    const { code, message } = told.error;
    return code === 'Forbidden' || code === 'ReviewsAway'
      ? problem(code, message)
      : problem('DatabaseAway', `${message}: ask again`);
  },
});

const unknown = route({
  id: 'listUnknown',
  method: 'GET',
  path: `${FARM}/unknown`,
  summary:
    'Machines that asked to boot lately and are no device: all servers are asked, and who does not answer is named',
  right: { resource: 'unknownmachines', verb: 'list' },
  query: UnknownQuery,
  answer: { status: 200, shape: UnknownPage },
  async handle({ farm, query }) {
    const order = orderOf({ sort: '-lastAt', ...query }, ['lastAt', 'firstAt', 'mac']);
    if (!order.ok) return order;
    const servers = await farm.servers();
    if (!servers.ok) return servers;
    const all = await askUnknown(servers.value.control, servers.value.places);
    const macs = all.machines.map(({ mac }) => mac);
    const known = await farm.read(
      (database) => knownMacs(database, macs),
      ({ devices }) => new Set(devices.flatMap((device) => device.macs)),
    );
    if (!known.ok) return known;
    const { machines, ...told } = stillUnknown(all, known.value.value);
    const search = query.search?.toLowerCase();
    const field = order.value.field as 'lastAt' | 'firstAt' | 'mac';
    const at = (machine: UnknownMachine): After => ({
      key: field === 'mac' ? machine.mac : String(machine[field]).padStart(16, '0'),
      name: machine.mac,
    });
    const found =
      search === undefined ? machines : machines.filter(({ mac, uuid = '' }) => `${mac} ${uuid}`.includes(search));
    return ok({ body: { ...pageOf(found, order.value, at), ...told, ...inTheOpen(known.value.stale) } });
  },
});

const add = route({
  id: 'addUnknown',
  method: 'POST',
  path: `${FARM}/unknown/{mac}`,
  summary:
    'Add a machine that a server heard as a device, with the UUID that it said: also asks for the right to create devices of that collection',
  right: { resource: 'unknownmachines', verb: 'create' },
  query: NoQuery,
  body: UnknownNew,
  answer: { status: 201, shape: DeviceShape },
  problems: [409, 413, 415],
  async handle(asked) {
    const mac = parseMac(asked.params['mac'] ?? '');
    if (mac === undefined)
      return invalid([
        { field: 'mac', value: asked.params['mac'] ?? '', reason: 'a MAC is six bytes in hex, like 52:54:00:12:34:56' },
      ]);
    const may = await mayAlso(asked, { resource: 'devices', verb: 'create' }, asked.body.collection);
    if (!may.ok) return may;
    const servers = await asked.farm.servers();
    return servers.ok ? added(asked, mac, servers.value) : servers;
  },
});

async function added(
  asked: Asked<unknown, Static<typeof UnknownNew>>,
  mac: string,
  { control, places }: FarmServers,
): ReturnType<Route['handle']> {
  const { record, answered, silent } = await askBoots(control, places, [mac]);
  const { uuid: said, ...rest } = asked.body;
  const first = newDevice({ ...rest, macs: [mac], ...(said ? { uuid: said } : {}) });
  if (!first.ok) return first;
  const uuid = said === undefined ? record?.uuid : undefined;
  const silence = silent.map(({ message }) => message).join('; ');
  let device = first.value;
  const done = await asked.farm.edit(async (database): Promise<Result<Added, Fault>> => {
    const there = await neighboursOf(database, [uuid === undefined ? device : { ...device, uuid }]);
    if (!there.ok) return there;
    const { byMac, byUuid } = there.value;
    // Added meanwhile, or long ago: whether it is the same is judged with all others.
    if (!record && !byMac.has(mac)) return fail('NotHeard', mac);
    const own = heardUuid(record, (taken) => (byUuid.get(taken) ?? device).name !== device.name);
    if (said === undefined && own !== undefined) device = { ...device, uuid: own };
    return addDevices(database, [device], actorOf(asked));
  });
  if (!done.ok) return done;
  if (done.value.ok)
    return ok({
      status: 201,
      body: given({ device }, (name) => asked.farm.siteOf(name)),
      headers: { etag: tagOf(device) },
    });
  if (done.value.error.code !== 'NotHeard') return problemOf(asked, done.value.error);
  if (answered.length === 0 && silent.length > 0) return problem('ServersAway', `${silence}. Ask again`);
  return problem(
    'NotFound',
    `no server has heard a machine with MAC ${mac}${silence ? `, but not all answered: ${silence}` : ''}: add it as a device all the same by POST to the list of devices`,
  );
}

export const machineRoutes: readonly Route[] = [boots, explanation, unknown, add];
