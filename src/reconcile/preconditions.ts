/**
 * What must be so before anything is done for a resource: an ordered list a kind. The first that is not so is what its status says, with the way out;
 * what only another spec can mend comes first. Pure.
 */
import { isWithin } from '../farm/files.ts';
import { SHARED_STORES } from '../farm/shared.ts';
import { ok, type Result } from '../kit/result.ts';
import type { Hindrance } from '../resources/conditions.ts';
import type { Farm, KindName, Store, StreamingServer, VDisk } from '../resources/kinds.ts';
import { unsupported } from '../resources/unsupported.ts';
import type { Settings } from './context.ts';
import { siteNames } from './projection.ts';
import { mountedFolders } from './streamingserver/objects.ts';

type Allowed = Pick<Settings, 'image' | 'allowedHostPaths' | 'allowedImages'>;

/** Absent is a value; what a list asks for is there when all of it holds. */
export interface FactsOf {
  readonly Farm: { readonly resource: Farm; readonly settings: Allowed };
  readonly Store: {
    readonly resource: Store;
    readonly farm: object | undefined;
  };
  readonly VDisk: {
    readonly resource: VDisk;
    readonly store: Store | undefined;
    readonly farm: object | undefined;
    /** Of its Farm. */
    readonly runtime: object | undefined;
  };
  readonly StreamingServer: {
    readonly resource: StreamingServer;
    readonly settings: Allowed;
    /** Folders of nodes that hold the data of databases and replicas. */
    readonly databaseFolders: readonly string[];
    readonly farm: Farm | undefined;
    /** Of this farm; absent: it has no such site, or several and none is said. */
    readonly site: string | undefined;
    readonly runtime: object | undefined;
    /** What servers log in to the database with. */
    readonly serverUri: string | undefined;
  };
}

interface Rule<Facts> {
  readonly kind: Hindrance['kind'];
  readonly reason: Hindrance['reason'];
  /** What is wrong, and the way out; undefined: nothing is. */
  readonly wrong: (facts: Facts) => string | undefined;
}

interface Member {
  readonly resource: Store | VDisk | StreamingServer;
}

const supported = (name: KindName): Rule<{ readonly resource: { readonly spec: object } }> => ({
  kind: 'stalled',
  reason: 'NotSupported',
  wrong: ({ resource }) => unsupported(name, resource.spec),
});

interface Listed {
  readonly settings: Allowed;
}

const hostPaths = <Facts extends Listed>(of: (facts: Facts) => readonly string[]): Rule<Facts> => ({
  kind: 'stalled',
  reason: 'NotAllowed',
  wrong(facts) {
    const { allowedHostPaths } = facts.settings;
    return unlisted('host path', forbiddenPaths(facts.settings, of(facts)), 'allowedHostPaths', allowedHostPaths);
  },
});

const images = <Facts extends Listed>(of: (facts: Facts) => readonly (string | undefined)[]): Rule<Facts> => ({
  kind: 'stalled',
  reason: 'NotAllowed',
  wrong(facts) {
    const { allowedImages } = facts.settings;
    return unlisted('image', forbiddenImages(facts.settings, of(facts)), 'allowedImages', allowedImages);
  },
});

const unlisted = (what: string, found: readonly string[], list: string, allowed: readonly string[]) =>
  found.length === 0
    ? undefined
    : `${what} ${found.join(', ')} is not on the operator's list (${allowed.join(', ') || 'it is empty'}): ` +
      `name one that is, or add it to ${list} of the chart`;

const farmThere: Rule<Member & { readonly farm: object | undefined }> = {
  kind: 'reconciling',
  reason: 'FarmMissing',
  wrong: ({ resource: { metadata, spec }, farm }) =>
    farm
      ? undefined
      : `Farm ${spec.farmRef.name}, which spec.farmRef names, is not in namespace ${metadata.namespace}: make it, or name another`,
};

const farmRuns: Rule<Member & { readonly runtime: object | undefined }> = {
  kind: 'reconciling',
  reason: 'FarmNotReady',
  wrong: ({ resource, runtime }) =>
    runtime ? undefined : `Farm ${resource.spec.farmRef.name} is being made: see its conditions`,
};

const embeddedOf = ({ spec: { database, replica } }: Farm) =>
  [database.embedded, replica.embedded].filter((embedded) => embedded !== undefined);

/** Folders of nodes that hold the data of its database and its replica. */
export const dataFolders = (farm: Farm): readonly string[] =>
  embeddedOf(farm).flatMap(({ storage }) => storage?.hostPath ?? []);

const RULES: { readonly [Kind in KindName]: readonly Rule<FactsOf[Kind]>[] } = {
  Farm: [
    supported('Farm'),
    hostPaths(({ resource }) => dataFolders(resource)),
    images(({ resource }) => embeddedOf(resource).map(({ image }) => image)),
  ],
  Store: [supported('Store'), farmThere],
  VDisk: [
    supported('VDisk'),
    {
      kind: 'reconciling',
      reason: 'StoreMissing',
      wrong: ({ resource: { metadata, spec }, store }) =>
        store
          ? undefined
          : `Store ${spec.storeRef.name}, which spec.storeRef names, is not in namespace ${metadata.namespace}: make it, or name another`,
    },
    farmThere,
    farmRuns,
  ],
  StreamingServer: [
    supported('StreamingServer'),
    hostPaths(({ resource: { spec } }) => [...spec.storeRoots, spec.stateDirectory]),
    {
      kind: 'stalled',
      reason: 'NotAllowed',
      wrong({ resource, databaseFolders }) {
        const [shared] = overlaps(mountedFolders(resource), databaseFolders);
        return (
          shared &&
          `its servers would see ${shared[0]}, and a Farm keeps its database in ${shared[1]}: name in spec.storeRoots the folders of the vDisks alone`
        );
      },
    },
    {
      kind: 'stalled',
      reason: 'NotAllowed',
      wrong({ resource }) {
        const [taken] = overlaps(resource.spec.storeRoots, [SHARED_STORES]);
        return (
          taken &&
          `${taken[0]} of spec.storeRoots and ${SHARED_STORES}, where shared stores are mounted in the pod, lie in one another: name another folder`
        );
      },
    },
    images(({ resource }) => [resource.spec.image]),
    farmThere,
    {
      kind: 'stalled',
      reason: 'SiteUnknown',
      wrong({ resource: { spec }, farm, site }) {
        if (site !== undefined) return undefined;
        const sites = farm ? siteNames(farm.spec).join(', ') : '';
        return spec.site === undefined
          ? `Farm ${spec.farmRef.name} has several sites: say in spec.site which of ${sites}`
          : `Farm ${spec.farmRef.name} has no site ${spec.site}: it has ${sites}`;
      },
    },
    farmRuns,
    {
      kind: 'reconciling',
      reason: 'FarmNotReady',
      wrong: ({ resource, serverUri }) =>
        serverUri === undefined
          ? `the database of Farm ${resource.spec.farmRef.name} is being made: see its conditions`
          : undefined,
    },
  ],
};

/** Facts of which none is absent. */
type Whole<Facts> = { readonly [Name in keyof Facts]: Exclude<Facts[Name], undefined> };

export function preconditions<Kind extends KindName, Facts extends FactsOf[Kind]>(
  kind: Kind,
  facts: Facts,
): Result<Whole<Facts>, Hindrance> {
  const rules: readonly Rule<FactsOf[Kind]>[] = RULES[kind];
  for (const { kind: is, reason, wrong } of rules) {
    const message = wrong(facts);
    if (message !== undefined) return { ok: false, error: { kind: is, reason, message } };
  }
  const absent = Object.entries(facts).find(([, value]) => value === undefined);
  if (absent) throw new Error(`no precondition of a ${kind} asks for its ${absent[0]}`);
  return ok(facts as Whole<Facts>);
}

/** The paths among these that no allowed folder holds. */
export const forbiddenPaths = ({ allowedHostPaths }: Allowed, paths: readonly string[]): readonly string[] =>
  paths.filter((path) => !isWithin(path, allowedHostPaths));

/** Pairs of which one lies in the other, or is it. */
export const overlaps = (
  paths: readonly string[],
  folders: readonly string[],
): readonly (readonly [string, string])[] =>
  paths.flatMap((path) =>
    folders
      .filter((folder) => `${path}/`.startsWith(`${folder}/`) || `${folder}/`.startsWith(`${path}/`))
      .map((folder) => [path, folder] as const),
  );

export const forbiddenImages = (
  { image, allowedImages }: Allowed,
  images: readonly (string | undefined)[],
): readonly string[] =>
  images.filter(
    (named) => named !== undefined && named !== image && !allowedImages.some((start) => isBelow(named, start)),
  ) as string[];

/** A prefix ends where a part of a name ends: `reg.example/team` allows no `reg.example/teamwork`. */
const isBelow = (image: string, start: string): boolean =>
  image.startsWith(start) && (/[/:@]$/.test(start) || /^([/:@]|$)/.test(image.slice(start.length)));
