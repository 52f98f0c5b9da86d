/** The shapes of the API, once: types, what is taken, and the document that is served (`openapi.ts`). */
import { type Static, type TSchema, Type } from 'typebox';
import { BootRecord, UnknownMachine } from '../farm/bootrecord.ts';
import { Access, Device as FarmDevice, Session as FarmSession } from '../farm/model.ts';
import { DEFAULT_LIMIT, MAX_LIMIT } from './page.ts';

const text = (description: string, more: object = {}) => Type.String({ description, ...more });
const count = (description: string) => Type.Integer({ minimum: 0, description });
const optional = Type.Optional;
const time = (description: string) => Type.String({ format: 'date-time', description });
const strings = Type.Record(Type.String(), Type.String());
/** What PostgreSQL can compare with: no NUL. */
const PLAIN = { pattern: '^[^\\u0000]*$' };
const name = (description: string) => text(description, { minLength: 1, maxLength: 253, ...PLAIN });

const StaleShape = Type.Object(
  {
    since: time('Up to then it was what the farm database held.'),
    reason: text('Why the database was not read.'),
  },
  { description: 'It was read from the replica. Absent: from the database.' },
);
const stale = optional(StaleShape);

export const ProblemShape = Type.Object(
  {
    type: text('urn:bootfarm:problem:CODE'),
    title: Type.String(),
    status: Type.Integer(),
    detail: text('The thing, the value, the limit and the way out.'),
    instance: text('The path that was asked for.'),
    code: text('Stable, for programs.'),
    complaints: optional(
      Type.Array(
        Type.Object({
          line: optional(count('Of the file, from 1.')),
          field: Type.String(),
          value: Type.String(),
          reason: Type.String(),
        }),
        { description: 'Each value that is wrong; 1,000 at most.' },
      ),
    ),
    patch: optional(Type.Unknown({ description: 'The merge patch to commit where the resource is kept.' })),
  },
  { description: 'RFC 9457.' },
);

const Condition = Type.Object({
  type: Type.String(),
  status: Type.String(),
  reason: Type.String(),
  message: Type.String(),
  lastTransitionTime: optional(Type.String()),
  observedGeneration: optional(Type.Integer()),
});
const conditions = Type.Array(Condition, { description: 'As in the status of the resource.' });

export const FarmShape = Type.Object(
  {
    namespace: Type.String(),
    name: Type.String(),
    conditions,
    servers: optional(Type.Unknown({ description: 'status.servers of the Farm.' })),
    devices: optional(Type.Unknown({ description: 'status.devices of the Farm.' })),
    database: optional(Type.Unknown({ description: 'status.database of the Farm.' })),
    replica: optional(Type.Unknown({ description: 'status.replica of the Farm.' })),
    suspend: Type.Boolean(),
    collections: Type.Array(
      Type.Object({ name: Type.String(), site: Type.String(), vdisk: optional(Type.String()), class: Access }),
    ),
  },
  { description: 'A farm, as its resource says it is.' },
);

export const SiteShape = Type.Object({
  name: Type.String(),
  servers: count('Servers of its pools.'),
  streaming: count('Those that stream.'),
  devices: count('Devices that stream from them.'),
  collections: Type.Array(Type.String()),
});

export const ServerShape = Type.Object(
  {
    name: text('Of its node.'),
    pool: Type.String(),
    site: Type.String(),
    state: text('Starting, Streaming, Draining, Unreachable or Refused.'),
    addresses: Type.Array(Type.String()),
    devices: count('Sessions of it.'),
    booting: count('Devices that boot from it.'),
    powerRating: Type.Number(),
    loadPercent: count('Its devices, of the most that it takes.'),
    bootstrapHash: optional(Type.String()),
    message: Type.String(),
  },
  { description: 'A streaming server, as the operator saw it last.' },
);

export const PoolShape = Type.Object(
  {
    name: Type.String(),
    site: Type.String(),
    conditions,
    servers: count('Servers that are there.'),
    streaming: count('Those that stream.'),
    devices: count('Devices that stream from them.'),
  },
  { description: 'A pool of servers: a StreamingServer.' },
);

export const ResourceShape = Type.Object(
  {
    apiVersion: Type.String(),
    kind: Type.String(),
    namespace: Type.String(),
    name: Type.String(),
    generation: optional(Type.Integer()),
    spec: Type.Unknown({ description: 'As the Kubernetes API has it.' }),
    conditions,
    managedBy: optional(text('Who keeps it as it stands in git: an edit here would be made undone.')),
    events: Type.Array(
      Type.Object({
        type: text('Normal or Warning.'),
        reason: Type.String(),
        note: Type.String(),
        count: count('How often it was so.'),
        lastAt: text('When it was so last, RFC 3339.'),
      }),
      { description: 'Of the last hour, the newest first; 100 at most.' },
    ),
    eventsAway: optional(text('Why no Events are known.')),
  },
  { description: 'A resource of the farm.' },
);

export const VDiskShape = Type.Object(
  {
    name: Type.String(),
    store: Type.String(),
    movingFrom: optional(Type.Array(Type.String(), { description: 'Stores from which its files go to that one.' })),
    fileName: Type.String(),
    enabled: Type.Boolean(),
    conditions,
    bootVersion: optional(count('The version that Production devices boot.')),
    override: optional(Type.Unknown({ description: 'Of `bootfarm rollback`.' })),
    sizeBytes: optional(count('Of the disk that devices see.')),
    devices: count('Devices that stream it.'),
    upToDate: optional(text('Servers with a right copy of the boot version, of those that should have one: 2/2.')),
    versions: Type.Array(
      Type.Object({
        number: count('0 is the base.'),
        type: optional(Type.String()),
        access: optional(Type.String()),
        state: optional(Type.String()),
        message: optional(Type.String()),
        settledAt: optional(Type.String()),
        releaseAt: optional(text('When it may be booted from, as the spec says. Absent: at once.')),
        sizeBytes: optional(Type.Integer()),
        sha256: optional(Type.String()),
        upToDate: optional(Type.Integer()),
        copies: optional(Type.Integer()),
      }),
    ),
    work: Type.Array(Type.Unknown(), { description: 'status.work of the VDisk.' }),
    unmanaged: Type.Array(Type.String()),
  },
  { description: 'A vDisk with its versions.' },
);

export const CopyShape = Type.Object(
  {
    vdisk: Type.String(),
    version: Type.Integer(),
    server: Type.String(),
    state: text(
      'UpToDate, Missing, OutOfDate, PropertiesMissing, PropertiesOutOfDate, ServerUnreachable, Copying, Corrupt or Conflict.',
    ),
    progressPercent: optional(Type.Integer()),
    secondsLeft: optional(Type.Integer()),
    message: Type.String(),
    manifest: optional(Type.String()),
    since: Type.Integer({ description: 'Unix seconds.' }),
    reportedAt: Type.Integer({ description: 'Unix seconds.' }),
    verifiedAt: optional(Type.Integer({ description: 'Unix seconds.' })),
  },
  { description: 'One version on one server.' },
);

export const StoreShape = Type.Object(
  {
    name: Type.String(),
    site: optional(Type.String()),
    kind: text('local, nfs, persistentVolumeClaim, iscsi or fc.'),
    conditions,
    accessible: optional(text('Servers that reach it, of those that should: 2/2.')),
    devices: count('Devices that stream vDisks of it.'),
    servers: Type.Array(
      Type.Object({
        name: Type.String(),
        state: Type.String(),
        freeBytes: optional(Type.Integer()),
        totalBytes: optional(Type.Integer()),
        files: optional(Type.Integer()),
        message: optional(Type.String()),
      }),
    ),
  },
  { description: 'A store, as each server sees it.' },
);

export const FileShape = Type.Object(
  {
    name: Type.String(),
    vdisk: Type.String(),
    version: Type.Integer(),
    sizeBytes: Type.Integer(),
    sha256: Type.String(),
  },
  { description: 'A file of a version, as it must be.' },
);

export const SessionShape = Type.Object(
  { ...FarmSession.properties },
  { description: 'One device streaming one version from one server.' },
);

const { name: _name, uuidSharedWith, ...editable } = FarmDevice.properties;
export const DeviceShape = Type.Object(
  {
    name: Type.String(),
    ...editable,
    uuidSharedWith,
    site: optional(Type.String()),
    session: optional(SessionShape),
    stale,
  },
  { description: 'A target device and, while it streams, its session.' },
);

/** What may be said of a device; `devices/input.ts` judges it. */
const said = {
  macs: Type.Array(Type.String({ maxLength: 64 }), {
    description: 'Its MACs; the first is the one it boots with.',
    maxItems: 64,
  }),
  uuid: Type.String({ maxLength: 64, description: 'Its SMBIOS UUID, in either byte order.' }),
  collection: Type.String({ maxLength: 63 }),
  class: Type.String({ maxLength: 32, description: "Maintenance, Test or Production. Absent: the collection's." }),
  enabled: Type.Boolean({ description: 'Whether it may boot.' }),
  properties: Type.Unsafe<Static<typeof strings>>({ ...strings, description: 'What it is told about itself.' }),
};
const closed = { additionalProperties: false } as const;
export const queryOf = <T extends Readonly<Record<string, TSchema>>>(fields: T) => Type.Object(fields, closed);

export const DeviceWhole = Type.Object(
  {
    macs: said.macs,
    uuid: optional(said.uuid),
    collection: said.collection,
    class: optional(said.class),
    enabled: optional(said.enabled),
    properties: optional(said.properties),
  },
  { ...closed, description: 'All that a device is, but its name.' },
);
export type DeviceWhole = Static<typeof DeviceWhole>;

export const DeviceNew = Type.Object(
  { name: Type.String({ maxLength: 63, description: 'A DNS label, unique in the farm.' }), ...DeviceWhole.properties },
  { ...closed, description: 'A device that is to be added.' },
);
export type DeviceNew = Static<typeof DeviceNew>;

const orNull = <T extends TSchema>(schema: T) => optional(Type.Union([schema, Type.Null()]));
export const DevicePatch = Type.Object(
  {
    macs: optional(said.macs),
    uuid: orNull(said.uuid),
    collection: optional(said.collection),
    class: orNull(said.class),
    enabled: optional(said.enabled),
    properties: optional(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]))),
  },
  { ...closed, description: 'A merge patch (RFC 7396): null takes away, what is not named stays.' },
);
export type DevicePatch = Static<typeof DevicePatch>;

export const NicReplacement = Type.Object(
  {
    mac: Type.String({ maxLength: 64, description: 'Of the new card.' }),
    old: optional(
      Type.String({ maxLength: 64, description: 'Of the card that is gone. Absent: the one it boots with.' }),
    ),
  },
  closed,
);
export type NicReplacement = Static<typeof NicReplacement>;

export const CollectionEdit = Type.Object(
  {
    collection: optional(Type.String({ maxLength: 63, description: 'Where all of them go.' })),
    class: optional(Type.Union([Access, Type.Null()], { description: "Null: the collection's." })),
    enabled: optional(said.enabled),
  },
  { ...closed, description: 'What all devices of the collection get; what is not named stays.' },
);
export type CollectionEdit = Static<typeof CollectionEdit>;

export const Bulk = Type.Object({ devices: count('Of the collection.'), changed: count('Those that became another.') });
export const Imported = Type.Object({
  added: count('Devices.'),
  unchanged: count('That were there already, the same.'),
  dryRun: Type.Boolean(),
});

const VersionNumber = Type.Integer({ minimum: 0, maximum: 999_999_999 });

export const EditShape = Type.Object(
  {
    vdisk: Type.String(),
    says: text('What it comes to.'),
    unchanged: Type.Boolean({ description: 'The VDisk says so already.' }),
    patch: Type.Unknown({ description: 'A JSON merge patch (RFC 7396) of the VDisk.' }),
    applied: Type.Boolean(),
    managedBy: optional(text('Who keeps the VDisk as it stands in git: commit the patch there.')),
  },
  { description: 'An edit of a VDisk, made or not.' },
);
export const Promotion = Type.Object(
  {
    access: optional(Access),
    releaseAt: optional(Type.String({ maxLength: 64, description: 'When, as 2026-12-01T06:00:00Z. Absent: at once.' })),
  },
  { ...closed, description: 'For whom, Production where it is absent, and when.' },
);
export const ApplyQuery = queryOf({
  apply: optional(Type.Boolean({ description: 'Make the edit. Absent: say it.' })),
});

export const SpecEdit = Type.Object(
  {
    spec: Type.Unsafe<Readonly<Record<string, unknown>>>({
      type: 'object',
      description: 'A JSON merge patch (RFC 7396) of its spec: null takes away, a list is given whole.',
    }),
    generation: optional(count('As it was read: where it is another one by now the edit is refused.')),
  },
  { ...closed, description: 'An edit of a resource.' },
);
export type SpecEdit = Static<typeof SpecEdit>;
export const SpecEditedShape = Type.Object({
  applied: Type.Boolean({ description: 'False: the API server would take it so, and nothing was changed.' }),
  generation: optional(Type.Integer()),
  managedBy: optional(text('Who keeps the resource as it stands in git: commit the patch there.')),
});

export const Accept = Type.Object({ server: name('Whose files are right.') }, closed);
export const AcceptedShape = Type.Object({
  vdisk: Type.String(),
  version: Type.Integer(),
  server: Type.String(),
  result: text('Accepted, or Unchanged: it was right already.'),
  manifest: optional(Type.String()),
  files: optional(Type.Array(Type.Unknown())),
});

export const RollbacksShape = Type.Object({
  items: Type.Array(
    Type.Object({
      vdisk: Type.String(),
      version: Type.Integer(),
      until: optional(time('Absent: until it is cleared.')),
    }),
  ),
  stale,
});
export const RollbackNew = Type.Object(
  {
    all: optional(Type.Boolean({ description: 'Of every vDisk of the farm.' })),
    vdisks: optional(Type.Array(name('Of a vDisk.'), { minItems: 1, maxItems: 512 })),
    version: optional(VersionNumber),
    asOf: optional(
      Type.String({ maxLength: 64, description: 'To what was released and complete then, as 2026-11-20T18:00:00Z.' }),
    ),
    forSeconds: optional(
      Type.Integer({ minimum: 1, maximum: 31_536_000, description: 'End by itself. Absent: until it is cleared.' }),
    ),
    dryRun: optional(Type.Boolean({ description: 'Say what would be done, and do nothing.' })),
  },
  { ...closed, description: 'Neither version nor asOf: the version before what the VDisk says.' },
);
export const RolledBackShape = Type.Object({
  dryRun: Type.Boolean(),
  steps: Type.Array(
    Type.Object({
      kind: text('back or stays.'),
      vdisk: Type.String(),
      from: optional(Type.Integer({ description: 'What the VDisk says. Absent: none can be booted.' })),
      version: optional(Type.Integer()),
      why: optional(Type.String()),
    }),
  ),
  until: optional(time('Absent: until it is cleared.')),
});
export const ClearedShape = Type.Object({ cleared: Type.Array(Type.String(), { description: 'vDisks.' }) });

export const JobsShape = Type.Object({
  items: Type.Array(
    Type.Object({
      vdisk: Type.String(),
      server: Type.String(),
      id: Type.String(),
      kind: Type.String(),
      version: optional(Type.Integer()),
      state: text('Queued, Running, Done, Failed or Cancelled.'),
      progressPercent: optional(Type.Integer()),
      message: optional(Type.String()),
    }),
  ),
});

/** Whose word it is. */
const asked = {
  answered: Type.Array(Type.String(), { description: 'Servers that answered.' }),
  silent: Type.Array(Type.Object({ server: Type.String(), message: Type.String() }), {
    description: 'Servers that were asked and did not answer within 2 s.',
  }),
};
const milliseconds = (description: string) =>
  Type.Integer({ minimum: 0, description: `${description} Unix milliseconds.` });

export const BootsShape = Type.Object({
  device: optional(text('Absent: the farm has no device with that MAC.')),
  macs: Type.Array(Type.String()),
  record: optional(BootRecord),
  ...asked,
  stale,
});

export const ExplanationShape = Type.Object(
  {
    device: optional(text('Absent: the farm has no such device.')),
    macs: Type.Array(Type.String()),
    sentences: Type.Array(
      Type.Object({
        step: text('A step of a boot, or farm.'),
        at: optional(milliseconds('Absent: it is so now.')),
        lastAt: optional(milliseconds('When it was so last.')),
        times: optional(count('How often it was so.')),
        servers: Type.Array(Type.String()),
        text: Type.String(),
        isRight: Type.Boolean(),
      }),
      { description: 'The last boot in order, and what the farm says now.' },
    ),
    verdict: Type.Object(
      {
        code: text('Stable, for programs: Running, UnknownMachine, Disabled, NeverHeard, LoginRefused, …'),
        step: Type.String(),
        message: Type.String(),
        todo: text('Empty: nothing.'),
      },
      { description: 'The first thing that stands in its way.' },
    ),
    boots: BootRecord.properties.boots,
    silent: asked.silent,
    stale,
  },
  { description: 'What `bootfarm device explain` says.' },
);

export const UnknownPage = Type.Object({
  items: Type.Array(UnknownMachine),
  continue: optional(text('Of the next page. Absent: this is the last.')),
  more: count('Heard, too, and not told by their server, which tells of 512.'),
  ...asked,
  stale,
});

export const UnknownNew = Type.Object(
  {
    name: DeviceNew.properties.name,
    collection: said.collection,
    uuid: optional(
      Type.Union([said.uuid, Type.Null()], {
        description: 'Absent: what the machine said, where no other device has it. Null: none.',
      }),
    ),
    class: optional(said.class),
    enabled: optional(said.enabled),
    properties: optional(said.properties),
  },
  { ...closed, description: 'What the machine is to be called, and where it belongs.' },
);

export const AuditShape = Type.Object({
  id: Type.Integer(),
  at: time('When.'),
  source: text('resource, command, api, auto-add or offline.'),
  who: Type.String(),
  action: Type.String(),
  kind: Type.String(),
  name: Type.String(),
  before: Type.Unknown({ description: 'Null: it was not there.' }),
  after: Type.Unknown({ description: 'Null: it is gone.' }),
});

export const pageOfShape = <T extends TSchema>(item: T) =>
  Type.Object({
    items: Type.Array(item),
    continue: optional(text('Of the next page. Absent: this is the last.')),
    stale,
  });

/** Of a list. */
const pageFields = {
  limit: optional(
    Type.Integer({ minimum: 1, maximum: MAX_LIMIT, description: `Items of a page. Absent: ${DEFAULT_LIMIT}.` }),
  ),
  continue: optional(Type.String({ maxLength: 2_048, description: 'Of the page before.' })),
  sort: optional(Type.String({ maxLength: 64, description: 'A field; with - in front from the last to the first.' })),
};
const nameFilter = { search: optional(name('Part of the name.')) };

export const ListQuery = queryOf({ ...pageFields, ...nameFilter });
export const DevicesQuery = queryOf({
  ...pageFields,
  collection: optional(name('Of this collection.')),
  site: optional(name('Of this site.')),
  enabled: optional(Type.Boolean({ description: 'Those that may boot, or may not.' })),
  streaming: optional(Type.Boolean({ description: 'Those that stream, or do not.' })),
  search: optional(name('Part of the name or of a MAC.')),
});
export const SessionsQuery = queryOf({
  ...pageFields,
  server: optional(name('Of this server.')),
  vdisk: optional(name('Of this vDisk.')),
  collection: optional(name('Of devices of this collection.')),
});
const { sort: _sort, ...unsorted } = pageFields;
export const AuditQuery = queryOf({
  ...unsorted,
  kind: optional(name('device, version, …')),
  name: optional(name('Of the thing that was changed.')),
  who: optional(Type.String({ maxLength: 1_024, description: 'Who changed it.', ...PLAIN })),
  source: optional(
    Type.Unsafe<'resource' | 'command' | 'api' | 'auto-add' | 'offline'>({
      type: 'string',
      enum: ['resource', 'command', 'api', 'auto-add', 'offline'],
    }),
  ),
});
export const ImportQuery = queryOf({
  dryRun: optional(Type.Boolean({ description: 'Judge the file, and change nothing.' })),
});
export const UnknownQuery = queryOf({ ...pageFields, search: optional(name('Part of a MAC or of a UUID.')) });
export const NoQuery = queryOf({});

/** By the name that the document gives them. */
export const NAMED: Readonly<Record<string, TSchema>> = {
  Problem: ProblemShape,
  Stale: StaleShape,
  Condition,
  Farm: FarmShape,
  Pool: PoolShape,
  Resource: ResourceShape,
  Site: SiteShape,
  Server: ServerShape,
  VDisk: VDiskShape,
  Copy: CopyShape,
  Store: StoreShape,
  File: FileShape,
  Session: SessionShape,
  Device: DeviceShape,
  DeviceNew,
  DeviceWhole,
  DevicePatch,
  NicReplacement,
  CollectionEdit,
  Edit: EditShape,
  SpecEdit,
  Promotion,
  RollbackNew,
  BootRecord,
  Explanation: ExplanationShape,
  UnknownMachine,
  UnknownNew,
  AuditEntry: AuditShape,
};
