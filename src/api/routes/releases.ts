/** Which version machines boot: promote and revert as edits of the VDisk, a rollback whatever it says, and which copy of a version is right. */
import type { Static } from 'typebox';
import { acceptContent, copiesOf } from '../../database/copies.ts';
import { clearOverrides, setOverrides } from '../../database/overrides.ts';
import { snapshot } from '../../database/project.ts';
import { judgeAccept } from '../../farm/accept.ts';
import type { FarmSnapshot, VersionOverride } from '../../farm/model.ts';
import { planRollback, type Rollback, unknownVDisk } from '../../farm/rollback.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { type Edit, promote, revert } from '../../resources/release.ts';
import { keeperOf } from '../managed.ts';
import { makePatch, managed, mayPatch } from '../patch.ts';
import { invalid, type Problem, problem } from '../problem.ts';
import { type Asked, FARM, type Handled, type Route, route } from '../route.ts';
import {
  Accept,
  AcceptedShape,
  ApplyQuery,
  ClearedShape,
  EditShape,
  JobsShape,
  NoQuery,
  Promotion,
  RollbackNew,
  RollbacksShape,
  RolledBackShape,
} from '../schema.ts';
import { actorOf } from './touch.ts';

const VDISK = `${FARM}/vdisks/{vdisk}`;
const VERSION = `${VDISK}/versions/{version}`;
const SEES = { resource: 'vdisks', verb: 'get' } as const;

function versionOf({ params }: Asked): Result<number, Problem> {
  const { version: text = '' } = params;
  if (/^\d{1,9}$/.test(text)) return ok(Number(text));
  return invalid([{ field: 'version', value: text, reason: 'a version has a number: 0 is the base' }]);
}

/** RFC 3339, or undefined: of a day that there is. */
function secondsOf(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1_000);
}

type Releasing = Asked<Static<typeof ApplyQuery>>;

async function edit(asked: Releasing, make: (spec: Parameters<typeof revert>[0]) => Result<Edit, Fault>): Handled {
  const { farm, params, query } = asked;
  const { vdisk: name = '' } = params;
  const found = farm.vdisks().find(({ metadata }) => metadata.name === name);
  const object = farm.object('vdisks', name);
  if (!found || !object) return problem('NotFound', `the farm has no vDisk ${name}`);
  const edited = make(found.spec);
  if (!edited.ok) return problem('Conflict', `VDisk ${name}: ${edited.error.message}`);
  const { patch, says } = edited.value;
  const unchanged = Object.keys(patch).length === 0;
  const keeper = keeperOf(object);
  const said = {
    vdisk: name,
    says,
    unchanged,
    patch: { spec: patch },
    ...(keeper === undefined ? {} : { managedBy: keeper }),
  };
  if (!query.apply) return ok({ body: { ...said, applied: false } });
  const may = await mayPatch(asked, 'vdisks', name);
  if (!may.ok) return may;
  if (keeper !== undefined) return managed(object, keeper, patch);
  if (unchanged) return ok({ body: { ...said, applied: true } });
  const { versions, bootVersion } = found.spec;
  const before = { versions, ...(bootVersion === undefined ? {} : { bootVersion }) };
  const done = await makePatch(asked, 'vdisks', object, { spec: patch, before, after: { ...before, ...patch } });
  return done.ok ? ok({ body: { ...said, applied: true } }) : done;
}

const EDITS = {
  method: 'POST',
  right: SEES,
  query: ApplyQuery,
  answer: { status: 200, shape: EditShape },
  problems: [409, 413, 415],
} as const;

const promotion = route({
  ...EDITS,
  id: 'promoteVersion',
  path: `${VERSION}/promote`,
  summary:
    'Let a class of devices boot a version: the edit of the VDisk as a merge patch; apply=true makes it, by the right to patch vdisks.bootfarm.io',
  body: Promotion,
  async handle(asked) {
    const number = versionOf(asked);
    if (!number.ok) return number;
    const { access = 'Production', releaseAt } = asked.body;
    if (releaseAt !== undefined && secondsOf(releaseAt) === undefined)
      return invalid([{ field: 'releaseAt', value: releaseAt, reason: 'write it as 2026-12-01T06:00:00Z' }]);
    return edit(asked, (spec) =>
      promote(spec, { number: number.value, access, ...(releaseAt === undefined ? {} : { releaseAt }) }),
    );
  },
});

const reversion = route({
  ...EDITS,
  id: 'revertVDisk',
  path: `${VDISK}/revert`,
  summary:
    'Let machines boot the version before: the edit of the VDisk as a merge patch; apply=true makes it, by the right to patch vdisks.bootfarm.io',
  handle: (asked) => edit(asked, (spec) => revert(spec, Date.now())),
});

const accept = route({
  id: 'acceptVersion',
  method: 'POST',
  path: `${VERSION}/accept`,
  summary: 'Settle a Conflict: what a server holds of a version is right from now on',
  right: { resource: 'vdisks', verb: 'update' },
  query: NoQuery,
  body: Accept,
  answer: { status: 200, shape: AcceptedShape },
  problems: [409, 413, 415],
  async handle(asked) {
    const number = versionOf(asked);
    if (!number.ok) return number;
    const { vdisk = '' } = asked.params;
    const wanted = { vdisk, number: number.value, server: asked.body.server };
    const done = await asked.farm.edit(async (database): Promise<Result<object, Fault>> => {
      const farm = await snapshot(database);
      if (!farm.ok) return farm;
      const copies = await copiesOf(database, vdisk);
      if (!copies.ok) return copies;
      if (!farm.value) return fail('VersionUnknown', 'the database holds no farm yet');
      const content = judgeAccept(farm.value, copies.value, wanted);
      if (!content.ok) return content;
      if (content.value === 'Unchanged') return ok({ result: 'Unchanged' });
      const accepted = await acceptContent(database, wanted, content.value, actorOf(asked));
      if (!accepted.ok) return accepted;
      if (accepted.value === 'NoVersion')
        return fail('VersionUnknown', `VDisk ${vdisk} has no version ${number.value} any more`);
      if (typeof accepted.value === 'object')
        return fail('KnownAlready', `somebody was faster, and the manifest ${accepted.value.right} is right now`);
      return ok({ result: accepted.value, ...content.value });
    });
    if (!done.ok) return done;
    if (done.value.ok) return ok({ body: { ...wanted, version: number.value, ...done.value.value } });
    const { code, message } = done.value.error;
    return problem(code === 'VDiskUnknown' || code === 'VersionUnknown' ? 'NotFound' : 'Conflict', message);
  },
});

const ROLLBACKS = `${FARM}/rollbacks`;

const isoOf = ({ until }: Pick<VersionOverride, 'until'>): { readonly until?: string } =>
  until === undefined ? {} : { until: new Date(1_000 * until).toISOString() };

const rollbacks = route({
  id: 'listRollbacks',
  method: 'GET',
  path: ROLLBACKS,
  summary: 'vDisks of which machines boot another version than the resource says',
  right: { resource: 'rollbacks', verb: 'list' },
  query: NoQuery,
  answer: { status: 200, shape: RollbacksShape },
  async handle({ farm }) {
    const read = await farm.read<FarmSnapshot | undefined>(
      (database) => snapshot(database),
      (replica) => replica.snapshot,
    );
    if (!read.ok) return read;
    const { value, stale } = read.value;
    const now = Date.now() / 1_000;
    const items = (value?.overrides ?? [])
      .filter(({ until = Infinity }) => until > now)
      .map((one) => ({ vdisk: one.vdisk, version: one.version, ...isoOf(one) }));
    return ok({ body: { items, ...(stale ? { stale } : {}) } });
  },
});

/** What is asked for, as `bootfarm rollback` reads it. */
function wishOf({ all, vdisks, version, asOf }: Static<typeof RollbackNew>): Result<Rollback, Problem> {
  const wrong = (field: string, value: unknown, reason: string): Result<never, Problem> =>
    invalid([{ field, value: String(value), reason }]);
  if ((all === true) === (vdisks !== undefined))
    return wrong('vdisks', vdisks ?? '', 'say either all: true, or which vdisks');
  if (version !== undefined && asOf !== undefined) return wrong('asOf', asOf, 'say either version or asOf');
  if (version !== undefined && all)
    return wrong('version', version, 'it is one of a vDisk: name that in vdisks, or use asOf for all');
  const asOfSeconds = asOf === undefined ? undefined : secondsOf(asOf);
  if (asOf !== undefined && asOfSeconds === undefined) return wrong('asOf', asOf, 'write it as 2026-11-20T18:00:00Z');
  const to = version === undefined ? (asOfSeconds === undefined ? undefined : { asOfSeconds }) : { version };
  return ok({ ...(vdisks ? { vdisks } : {}), ...(to ? { to } : {}) });
}

const rollback = route({
  id: 'rollBack',
  method: 'POST',
  path: ROLLBACKS,
  summary: 'Let machines boot an older version from their next start on, whatever the resources say',
  right: { resource: 'rollbacks', verb: 'create' },
  query: NoQuery,
  body: RollbackNew,
  answer: { status: 200, shape: RolledBackShape },
  problems: [409, 413, 415],
  async handle(asked) {
    const wish = wishOf(asked.body);
    if (!wish.ok) return wish;
    const { dryRun = false, forSeconds } = asked.body;
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const until = forSeconds === undefined ? {} : { until: nowSeconds + forSeconds };
    const done = await asked.farm.edit(async (database): Promise<Result<object, Fault>> => {
      const farm = await snapshot(database);
      if (!farm.ok) return farm;
      if (!farm.value) return fail('VDiskUnknown', 'the database holds no farm yet');
      const steps = planRollback(farm.value, wish.value, nowSeconds);
      if (!steps.ok) return steps;
      const back = steps.value.flatMap((step) =>
        step.kind === 'back' ? [{ vdisk: step.vdisk, version: step.version, ...until }] : [],
      );
      const why = steps.value.map((step) => (step.kind === 'stays' ? step.why : '')).join('; ');
      if (back.length === 0) return fail('NothingBefore', `nothing to go back to: ${why || 'the farm has no vDisk'}`);
      const set = dryRun ? ok(undefined) : await setOverrides(database, back, actorOf(asked));
      return set.ok ? ok({ dryRun, steps: steps.value, ...isoOf(until) }) : set;
    });
    if (!done.ok) return done;
    if (done.value.ok) return ok({ body: done.value.value });
    const { code, message } = done.value.error;
    return problem(code === 'VDiskUnknown' ? 'NotFound' : 'Conflict', message);
  },
});

async function clear(asked: Asked, vdisks: readonly string[] | undefined): Handled {
  const done = await asked.farm.edit(async (database): Promise<Result<readonly string[], Fault>> => {
    const farm = await snapshot(database);
    if (!farm.ok) return farm;
    const unknown = farm.value && unknownVDisk(farm.value, vdisks);
    return unknown ? { ok: false, error: unknown } : clearOverrides(database, vdisks, actorOf(asked));
  });
  if (!done.ok) return done;
  if (done.value.ok) return ok({ body: { cleared: done.value.value } });
  const { code, message } = done.value.error;
  return problem(code === 'VDiskUnknown' ? 'NotFound' : 'Conflict', message);
}

const CLEARS = {
  method: 'DELETE',
  right: { resource: 'rollbacks', verb: 'delete' },
  query: NoQuery,
  answer: { status: 200, shape: ClearedShape },
  problems: [409],
} as const;

const clearAll = route({
  ...CLEARS,
  id: 'clearRollbacks',
  path: ROLLBACKS,
  summary: 'Machines boot what the resources say again, of all vDisks',
  handle: (asked) => clear(asked, undefined),
});

const clearOne = route({
  ...CLEARS,
  id: 'clearRollback',
  path: `${ROLLBACKS}/{vdisk}`,
  summary: 'Machines boot what the VDisk says again',
  handle: (asked) => clear(asked, [asked.params['vdisk'] ?? '']),
});

const jobs = route({
  id: 'listJobs',
  method: 'GET',
  path: `${FARM}/jobs`,
  summary: 'Work on files of vDisks in the servers: what waits, runs, and ended in the last ten minutes',
  right: { resource: 'vdisks', verb: 'list' },
  query: NoQuery,
  answer: { status: 200, shape: JobsShape },
  handle: async ({ farm }) =>
    ok({
      body: {
        items: farm
          .vdisks()
          .flatMap(({ metadata, status }) => (status.work ?? []).map((job) => ({ vdisk: metadata.name, ...job }))),
      },
    }),
});

export const releaseRoutes: readonly Route[] = [
  promotion,
  reversion,
  accept,
  rollbacks,
  rollback,
  clearAll,
  clearOne,
  jobs,
];
