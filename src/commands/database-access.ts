/** Which farm database a command works on: the farm's, in the pod of the operator; the one of its file or environment, elsewhere. */
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { connect, type Database, type DatabaseAccess } from '../database/connection.ts';
import type { Actor } from '../database/devices.ts';
import { must, Refusal } from '../terminal/refusal.ts';

/** With a connection that is closed whatever happens. */
export async function withDatabase(command: Command, work: (database: Database) => Promise<void>): Promise<void> {
  const applicationName = `bootfarm ${wordsOf(command)}`;
  const database = must(connect({ ...(await readAccess(command.opts())), applicationName }));
  await work(database).finally(() => database.close());
}

/** A server's login may read; the message says where the others are. */
export function refuseInServer(command: Command, what: string): void {
  if (command.opts()['farm'] !== undefined || command.getOptionValueSource('databaseUriFile') !== 'env') return;
  const farm = process.env['BOOTFARM_SERVER_OF'];
  if (farm === undefined) return;
  throw new Refusal(
    `a server may not change ${what}: run it in the pod of the operator, as in \`kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm ${wordsOf(command)} --farm ${farm} …\``,
  );
}

/** Behind the program's name: `vdisk accept`. */
function wordsOf(command: Command): string {
  const { parent } = command;
  return parent && parent.name() !== 'bootfarm' ? `${parent.name()} ${command.name()}` : command.name();
}

async function readAccess(options: { farm?: string; databaseUriFile?: string }): Promise<DatabaseAccess> {
  // The client of the Kubernetes API is loaded where it is needed alone.
  if (options.farm !== undefined) return must(await (await import('./device-farm.ts')).databaseOfFarm(options.farm));
  if (options.databaseUriFile !== undefined) return { uri: (await readText(options.databaseUriFile)).trim() };
  const { BOOTFARM_DATABASE_URI } = process.env;
  if (BOOTFARM_DATABASE_URI) return { uri: BOOTFARM_DATABASE_URI };
  throw new Refusal(
    'which database? Name --farm NAMESPACE/NAME in the pod of the operator, give --database-uri-file FILE, or set BOOTFARM_DATABASE_URI',
  );
}

/** 0: standard input. */
export async function readText(file: string | number): Promise<string> {
  try {
    return await readFile(typeof file === 'number' ? '/dev/stdin' : file, 'utf8');
  } catch (thrown) {
    throw new Refusal(`cannot read ${file}: ${String((thrown as Error).message)}`);
  }
}

export const actor = (): Actor => ({ source: 'command', who: userInfo().username });
