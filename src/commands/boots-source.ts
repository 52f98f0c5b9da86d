/** Where boot records come from: in the pod of the operator of all servers of the farm, in a server's of what that one keeps in its state directory. */
import type { Command } from 'commander';
import { databaseData } from '../database/data.ts';
import { knownMacs } from '../database/devices.ts';
import { vdiskCopies } from '../database/pages.ts';
import { mergedRecord, unknownOf } from '../farm/bootrecord.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type AllUnknown, askBoots, askUnknown } from '../operator/boots.ts';
import type { ExplainSources } from '../operator/explain.ts';
import { must, Refusal } from '../terminal/refusal.ts';
import { withDatabase } from './database-access.ts';

export interface BootsSource extends ExplainSources {
  readonly unknown: () => Promise<AllUnknown>;
  /** Those of these MACs that are devices'. */
  readonly known: (macs: readonly string[]) => Promise<Result<ReadonlySet<string>, Fault>>;
  /** Whose word it is, where it is not all servers'. */
  readonly note?: string;
}

export async function withBoots(command: Command, work: (source: BootsSource) => Promise<void>): Promise<void> {
  const { farm } = command.opts<{ farm?: string }>();
  const { BOOTFARM_REPLICA_SOCKET: socket, BOOTFARM_STATE: state } = process.env;
  if (farm !== undefined) return ofAll(command, farm, work);
  if (socket === undefined || state === undefined)
    throw new Refusal(
      'servers tell it the operator alone: name --farm NAMESPACE/NAME in the pod of the operator, or run it in the pod of a server for what that one heard',
    );
  return ofOne(socket, state, work);
}

const ofAll = (command: Command, farm: string, work: (source: BootsSource) => Promise<void>): Promise<void> =>
  withDatabase(command, async (database) => {
    const data = databaseData(database);
    const { servers } = must(await data.snapshot());
    // The client of the Kubernetes API is loaded where it is needed alone.
    const { controlOfFarm } = await import('./device-farm.ts');
    const { control, places } = must(await controlOfFarm(farm, servers));
    try {
      await work({
        data,
        copies: (vdisk) => vdiskCopies(database, vdisk),
        boots: (macs) => askBoots(control, places, macs),
        unknown: () => askUnknown(control, places),
        known: (macs) => knownMacs(database, macs),
      });
    } finally {
      await control.close();
    }
  });

async function ofOne(socketPath: string, state: string, work: (source: BootsSource) => Promise<void>): Promise<void> {
  // The client of the replica is loaded where it is needed alone.
  const { openReplica } = await import('../replica/reader.ts');
  const { replicaCopies, replicaDevices } = await import('../replica/devices.ts');
  const { bootsFile, readBoots } = await import('../control/bootsfile.ts');
  const records = must(await readBoots(bootsFile(state)));
  const replica = openReplica({ socketPath });
  const who = { answered: ['this server'], silent: [] };
  try {
    await work({
      data: {
        snapshot: () => replica.snapshot(),
        deviceByMac: (mac) => replica.deviceByMac(mac),
        deviceByName: (name) => replica.deviceByName(name),
        deviceByUuid: (uuid) => replica.deviceByUuid(uuid),
        // While the database is away no new session comes here.
        async sessionOf(device) {
          const session = await replica.sessionOf(device);
          return session.ok && !session.value ? fail('NotLoaded', `no session of ${device} is known here`) : session;
        },
      },
      copies: () => replicaCopies(socketPath),
      boots: async (macs) => {
        const record = mergedRecord(records.filter(({ mac }) => macs.includes(mac)));
        return { ...who, ...(record ? { record } : {}) };
      },
      unknown: async () => {
        const unknown = records.filter(({ known }) => !known);
        return { ...who, more: 0, machines: unknown.toSorted((a, b) => b.lastAt - a.lastAt).map(unknownOf) };
      },
      async known() {
        const devices = await replicaDevices(socketPath);
        return devices.ok ? ok(new Set(devices.value.flatMap(({ macs }) => macs))) : devices;
      },
      note: 'what this server alone has heard, up to half a minute ago: the operator asks all servers\n',
    });
  } finally {
    await replica.close();
  }
}
