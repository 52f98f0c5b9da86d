/** What is said of an embedded database that does not take the password of its Secret: the data outlived the Secret that it was made with. Pure. */
import type { DatabaseState } from '../../database/connection.ts';
import type { Farm } from '../../resources/kinds.ts';
import { databaseName, keysName } from '../names.ts';

/** Whose data it may be, and the ways out. Undefined: nothing of the kind. */
export function lostPassword({ metadata, spec }: Farm, database: DatabaseState): string | undefined {
  const { embedded } = spec.database;
  if (!embedded || database.reachable || database.fault.code !== 'AuthenticationFailed') return undefined;
  const { name, namespace } = metadata;
  const { hostPath } = embedded.storage ?? {};
  const pod = `${databaseName(name)}-0`;
  const [where, emptied] = hostPath
    ? [`folder ${hostPath}`, `empty the folder and delete pod ${pod}`]
    : [`PersistentVolumeClaim data-${pod}`, `delete the claim and pod ${pod}`];
  return (
    `the database in ${where} was made with another password than Secret ${databaseName(name)} has: it is that of an earlier farm. ` +
    `Either give its keys back by its recovery key: bootfarm keys recover --farm ${namespace}/${name}; ` +
    `or put the data of the Secrets ${databaseName(name)} and ${keysName(name)} back from a backup; ` +
    `or, to begin again without its devices, ${emptied}`
  );
}
