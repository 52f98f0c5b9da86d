/** Fills a real database with what a test says, through the same queries that the operator, servers and commands use. */
import type { Database } from '../../src/database/connection.ts';
import { addDevices, listDevices, markSharedUuid, removeDevice } from '../../src/database/devices.ts';
import { clearOverrides, setOverrides } from '../../src/database/overrides.ts';
import { type Projection, project, settleVersion, setVersionContent, snapshot } from '../../src/database/project.ts';
import { endSession, registerServer, sessions, upsertSession } from '../../src/database/servers.ts';
import type { FarmSnapshot, Version } from '../../src/farm/model.ts';
import type { Fault, Result } from '../../src/kit/result.ts';
import type { FarmContents } from './farmdata.ts';

export const projectionOf = (snapshot: FarmSnapshot): Projection => {
  const { id: _, ...farm } = snapshot.farm;
  return {
    farm,
    sites: snapshot.sites,
    collections: snapshot.collections,
    stores: snapshot.stores,
    pools: [{ name: 'main', site: 'default' }],
    vdisks: snapshot.vdisks,
    versions: snapshot.versions.map(({ content: _, settledAt: _at, ...version }) => version),
  };
};

/** Devices and sessions that are there and not named go. The snapshot's farm id is the database's own. */
export async function loadDatabase(
  database: Database,
  { snapshot, devices, sessions: wanted }: FarmContents,
): Promise<void> {
  const actor = { source: 'command', who: 'test' } as const;
  await must(project(database, projectionOf(snapshot)));
  for (const { vdisk, number, content, settledAt } of snapshot.versions) {
    if (content) await stateContent(database, vdisk, number, content);
    if (settledAt !== undefined) await must(settleVersion(database, vdisk, number, settledAt));
  }
  await must(clearOverrides(database, undefined, actor));
  await must(setOverrides(database, snapshot.overrides, actor));
  for (const server of snapshot.servers) await must(registerServer(database, server));
  for (const { name } of await must(listDevices(database))) await must(removeDevice(database, name, actor));
  await must(addDevices(database, devices, actor));
  for (const { name, uuid, uuidSharedWith: mac } of devices)
    if (uuid !== undefined && mac !== undefined) await must(markSharedUuid(database, { name, uuid, mac }));
  for (const { device, epoch } of await must(sessions(database)))
    if (!wanted.some((session) => session.device === device)) await must(endSession(database, device, epoch));
  for (const session of wanted) await must(upsertSession(database, session));
}

/** Whatever was right before. */
export async function stateContent(
  database: Database,
  vdisk: string,
  number: number,
  content: NonNullable<Version['content']>,
): Promise<void> {
  const rows = await must(snapshot(database));
  const before = rows?.versions.find((one) => one.vdisk === vdisk && one.number === number)?.content;
  if (!(await must(setVersionContent(database, vdisk, number, content, before?.manifest))))
    throw new Error(`there is no version ${number} of ${vdisk}`);
}

async function must<T>(answer: Promise<Result<T, Fault>>): Promise<T> {
  const result = await answer;
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}
