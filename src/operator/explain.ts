/** A machine explained: gathers what `farm/explain.ts` decides on, from the farm's data and its servers. For commands and the API alike. */
import { isUuid, otherOrder, parseMac } from '../farm/address.ts';
import type { UnknownMachine } from '../farm/bootrecord.ts';
import type { FarmData } from '../farm/data.ts';
import { type Explanation, explain } from '../farm/explain.ts';
import type { Copy, Device } from '../farm/model.ts';
import { decisionOf, type ExplainFacts } from '../farm/verdict.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { AllBoots, AllUnknown } from './boots.ts';

export type MachineData = Pick<FarmData, 'snapshot' | 'deviceByMac' | 'deviceByName' | 'deviceByUuid' | 'sessionOf'>;

export interface ExplainSources {
  readonly data: MachineData;
  /** Of one vDisk at least. A fault: the story goes without them. */
  readonly copies: (vdisk: string) => Promise<Result<readonly Copy[], Fault>>;
  readonly boots: (macs: readonly string[]) => Promise<AllBoots>;
}

/** What somebody asks for. */
export interface Machine {
  readonly macs: readonly string[];
  /** Absent: the farm has no device with that MAC. */
  readonly device?: Device;
}

/** `asked`: the name of a device, a MAC, which need not be a device's, or the UUID of one. A name may look like a MAC: it is a name first. */
export async function findMachine(data: MachineData, asked: string): Promise<Result<Machine, Fault>> {
  const mac = parseMac(asked);
  const uuid = asked.toLowerCase();
  let found = await data.deviceByName(asked);
  if (found.ok && !found.value && mac !== undefined) found = await data.deviceByMac(mac);
  if (found.ok && !found.value && isUuid(uuid)) found = await deviceByUuid(data, uuid);
  if (!found.ok) return found;
  const device = found.value;
  if (device) return ok({ macs: device.macs, device });
  if (mac !== undefined) return ok({ macs: [mac] });
  return fail(
    'NoDevice',
    `the farm has no device ${asked}: \`bootfarm device list\` shows all; a machine that is none yet is asked for by its MAC`,
  );
}

/** `see`: may the device be told of that is known by its UUID alone, behind a card that is none of its? */
export async function explainMachine<F extends Fault = never>(
  { data, copies, boots }: ExplainSources,
  asked: string | Machine,
  nowMs: number,
  see: (device: Device) => Promise<Result<unknown, F>> = async () => ok(undefined),
): Promise<Result<Explanation, Fault | F>> {
  const [snapshot, machine] = await Promise.all([
    data.snapshot(),
    typeof asked === 'string' ? findMachine(data, asked) : ok(asked),
  ]);
  if (!snapshot.ok) return snapshot;
  if (!machine.ok) return machine;
  const { macs, device: named } = machine.value;
  const told = await boots(macs);
  const known = named ? undefined : await byUuid(data, told.record?.uuid);
  const seen = known && (await see(known));
  if (seen && !seen.ok) return seen;
  const device = named ?? known;
  const session = device && (await data.sessionOf(device.name));
  const facts: ExplainFacts = {
    macs,
    device,
    snapshot: snapshot.value,
    session: session?.ok ? session.value : 'Unknown',
    record: told.record,
    silent: told.silent,
    answered: told.answered.length,
    nowMs,
  };
  const decision = decisionOf(facts);
  const held = decision?.kind === 'boot' ? await copies(decision.vdisk.name) : undefined;
  return ok(explain(held?.ok ? { ...facts, copies: held.value } : facts));
}

/** With a new card a machine is known by its UUID, unless two have it. */
async function byUuid(data: MachineData, uuid: string | undefined): Promise<Device | undefined> {
  if (uuid === undefined) return undefined;
  const found = await deviceByUuid(data, uuid);
  return found.ok && found.value?.uuidSharedWith === undefined ? found.value : undefined;
}

/** Firmware sends it in either byte order. */
async function deviceByUuid(data: MachineData, uuid: string): ReturnType<MachineData['deviceByUuid']> {
  const found = await data.deviceByUuid(uuid);
  return found.ok && !found.value ? data.deviceByUuid(otherOrder(uuid)) : found;
}

/** Without those that are devices by now: their MACs. */
export const stillUnknown = (told: AllUnknown, known: ReadonlySet<string>): AllUnknown => ({
  ...told,
  machines: told.machines.filter(({ mac }: UnknownMachine) => !known.has(mac)),
});
