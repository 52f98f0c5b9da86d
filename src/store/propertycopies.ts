/**
 * The `.pvp` of versions that are right on a server, and which of them come from other servers: the right one is said by `farm/properties.ts`, of all that are shown.
 * Pure. The server writes what it has to a file, and the container `work` asks the others and takes what it lacks.
 */
import { type Static, Type } from 'typebox';
import type { Read } from '../farm/model.ts';
import { rightProperties } from '../farm/properties.ts';
import { readJson } from '../kit/json.ts';
import type { ShownProperties } from '../transfer/wire.ts';
import type { FileFacts } from './inventory.ts';
import { isProperties, MAX_PROPERTIES_BYTES } from './properties.ts';
import type { WantedFile } from './wants.ts';

const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

const Here = Type.Object({
  sha256,
  sizeBytes: Type.Integer({ minimum: 0 }),
  changes: Type.Optional(Type.Integer({ minimum: 0 })),
  /** As `image/identity.ts` writes it. */
  identity: Type.String({ maxLength: 256 }),
});

const StoreProperties = Type.Object({
  store: Type.String({ minLength: 1, maxLength: 253 }),
  folder: Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4_096 }),
  /** One a version whose image is right here; without `here` it is not there. */
  files: Type.Array(
    Type.Object({ name: Type.String({ pattern: '^[^/\\u0000]+\\.pvp$', maxLength: 255 }), here: Type.Optional(Here) }),
    { maxItems: 100_000 },
  ),
});
export type StoreProperties = Read<Static<typeof StoreProperties>>;

/** In the state directory of the server, which writes it. */
export const PROPERTIES_FILE = 'wants/properties.json';

/** Empty: it is none of ours. */
export const parseStoreProperties = (text: string): readonly StoreProperties[] =>
  readJson(Type.Array(StoreProperties), text) ?? [];

/** Undefined: nothing is said of it: it was written a moment ago, or it is a person's to mend. */
export function propertyFile(name: string, file: FileFacts | undefined): StoreProperties['files'][number] | undefined {
  if (!isProperties(name)) return undefined;
  if (!file) return { name };
  const { properties, sizeBytes, identity } = file;
  if (file.fault || file.fresh || properties?.sha256 === undefined) return undefined;
  const { changes } = properties;
  return {
    name,
    here: { sha256: properties.sha256, sizeBytes, identity, ...(changes === undefined ? {} : { changes }) },
  };
}

/** What other servers are told. */
export const shownOf = ({ store, files }: StoreProperties): readonly ShownProperties[] =>
  files.flatMap(({ name, here }) => {
    if (!here) return [];
    const { identity: _, ...rest } = here;
    return [{ store, name, ...rest }];
  });

interface Found extends ShownProperties {
  readonly server: string;
  /** Of this server. */
  readonly folder?: string;
}

/** Those that are here and wrong, or not here. `shown`: by server. `beside`: of this server, in other folders. */
export function lackingProperties(
  { store, files }: StoreProperties,
  shown: ReadonlyMap<string, readonly ShownProperties[]>,
  beside: readonly StoreProperties[] = [],
): readonly WantedFile[] {
  const others: readonly Found[] = [
    ...[...shown].flatMap(([server, all]) => all.map((one) => ({ server, ...one }))),
    ...beside.flatMap((one) => shownOf(one).map((file) => ({ server: '', folder: one.folder, ...file }))),
  ].filter((one) => one.store === store && one.sizeBytes <= MAX_PROPERTIES_BYTES);
  const byName = Map.groupBy(others, ({ name }) => name);
  return files.flatMap(({ name, here }) => {
    const found = byName.get(name) ?? [];
    const right = rightProperties(here ? [...found, { server: '', name, ...here }] : found);
    const all = found.filter((one) => one.sha256 === right?.sha256);
    const [from] = all;
    if (!from || from.sha256 === here?.sha256) return [];
    const { sha256, sizeBytes } = from;
    const replaces = here ? { replaces: here.identity } : {};
    const bases = all.flatMap(({ folder }) => (folder === undefined ? [] : [{ name, sha256, folder }]));
    return [{ name, sha256, sizeBytes, bases, ...replaces }];
  });
}
