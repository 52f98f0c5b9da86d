/** A machine explained: gathers what `farm/explain.ts` decides on, from the farm's data and its servers. For commands and the API alike. */
import { parseMac } from '../farm/address.ts';
import type { UnknownMachine } from '../farm/bootrecord.ts';
import type { FarmData } from '../farm/data.ts';
import { type Explanation, explain } from '../farm/explain.ts';
import type { Copy, Device } from '../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { AllBoots, AllUnknown } from './boots.ts';

export interface ExplainSources {
  readonly data: Pick<FarmData, 'snapshot' | 'deviceByMac' | 'deviceByName' | 'deviceByUuid' | 'sessionOf'>;
  /** A fault: the story goes without them. */
  readonly copies: () => Promise<Result<readonly Copy[], Fault>>;
  readonly boots: (macs: readonly string[]) => Promise<AllBoots>;
}

/** `asked`: the name of a device, or a MAC, which need not be a device's. */
export async function explainMachine(
  { data, copies, boots }: ExplainSources,
  asked: string,
  nowMs: number,
): Promise<Result<Explanation, Fault>> {
  const mac = parseMac(asked);
  const [snapshot, device] = await Promise.all([
    data.snapshot(),
    mac === undefined ? data.deviceByName(asked) : data.deviceByMac(mac),
  ]);
  if (!snapshot.ok) return snapshot;
  if (!device.ok) return device;
  if (!device.value && mac === undefined)
    return fail(
      'NoDevice',
      `the farm has no device ${asked}: \`bootfarm device list\` shows all; a machine that is none yet is asked for by its MAC`,
    );
  const macs = device.value?.macs ?? (mac === undefined ? [] : [mac]);
  const [told, known] = await Promise.all([boots(macs), copies()]);
  const found = device.value ?? (await byUuid(data, told.record?.uuid));
  const session = found && (await data.sessionOf(found.name));
  return ok(
    explain({
      macs,
      device: found,
      snapshot: snapshot.value,
      copies: known.ok ? known.value : undefined,
      session: session?.ok ? session.value : 'Unknown',
      record: told.record,
      silent: told.silent,
      answered: told.answered.length,
      nowMs,
    }),
  );
}

/** With a new card a machine is known by its UUID, unless two have it. */
async function byUuid(data: Pick<FarmData, 'deviceByUuid'>, uuid: string | undefined): Promise<Device | undefined> {
  if (uuid === undefined) return undefined;
  const found = await data.deviceByUuid(uuid);
  return found.ok && found.value?.uuidSharedWith === undefined ? found.value : undefined;
}

/** Without those that are devices by now. */
export function stillUnknown(told: AllUnknown, devices: readonly { readonly macs: readonly string[] }[]): AllUnknown {
  const known = new Set(devices.flatMap(({ macs }) => macs));
  const isUnknown = ({ mac }: UnknownMachine): boolean => !known.has(mac);
  return { ...told, machines: told.machines.filter(isUnknown) };
}
