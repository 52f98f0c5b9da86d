/** Sessions: which device streams what from where; and who changed what. */
import { auditRows, type SessionField, sessionRows } from '../../database/pages.ts';
import type { Session } from '../../farm/model.ts';
import { ok, type Result } from '../../kit/result.ts';
import { type After, DEFAULT_LIMIT, orderOf, pageOf, pageOfRows } from '../page.ts';
import { invalid, type Problem } from '../problem.ts';
import { FARM, type Route, route } from '../route.ts';
import { AuditQuery, AuditShape, pageOfShape, SessionShape, SessionsQuery } from '../schema.ts';
import { within } from './touch.ts';

const keyOf = (session: Session, field: SessionField): string =>
  field === 'since' ? String(session.since).padStart(16, '0') : session[field];

const sessions = route({
  id: 'listSessions',
  method: 'GET',
  path: `${FARM}/sessions`,
  summary: 'Sessions that have not ended, of devices of the collections that the caller may',
  right: { resource: 'sessions', verb: 'list', by: 'collection' },
  query: SessionsQuery,
  answer: { status: 200, shape: pageOfShape(SessionShape) },
  async handle(asked) {
    const { farm, query } = asked;
    const order = orderOf(query, ['device', 'server', 'since']);
    if (!order.ok) return order;
    const allowed = await within(asked);
    if (!allowed.ok) return allowed;
    const { server, vdisk, collection } = query;
    const some = allowed.value;
    const filter = {
      ...(server === undefined ? {} : { server }),
      ...(vdisk === undefined ? {} : { vdisk }),
      ...(collection === undefined ? {} : { collection }),
      ...(some ? { within: some } : {}),
    };
    const field = order.value.field as SessionField;
    const at = (session: Session): After => ({ key: keyOf(session, field), name: session.device });
    const read = await farm.read(
      async (database) => {
        const rows = await sessionRows(database, filter, { ...order.value, field });
        return rows.ok ? ok(pageOfRows(rows.value, order.value, at)) : rows;
      },
      ({ sessions: held, devices }) => {
        const collections = new Map(devices.map((device) => [device.name, device.collection]));
        const isWanted = (session: Session): boolean => {
          const of = collections.get(session.device);
          return (
            (server === undefined || session.server === server) &&
            (vdisk === undefined || session.vdisk === vdisk) &&
            (collection === undefined || of === collection) &&
            (some === undefined || (of !== undefined && some.includes(of)))
          );
        };
        return pageOf(held.filter(isWanted), order.value, at);
      },
    );
    if (!read.ok) return read;
    const { value, stale } = read.value;
    return ok({ body: { ...value, ...(stale ? { stale } : {}) } });
  },
});

/** The id of an entry stands in the cursor. */
function beforeOf(cursor: string | undefined): Result<number | undefined, Problem> {
  if (cursor === undefined) return ok(undefined);
  const id = Number(Buffer.from(cursor, 'base64url').toString('utf8'));
  if (Number.isSafeInteger(id) && id > 0) return ok(id);
  return invalid([
    { field: 'query.continue', value: cursor, reason: 'is of no page of the audit: leave it out to begin anew' },
  ]);
}

const audit = route({
  id: 'listAudit',
  method: 'GET',
  path: `${FARM}/audit`,
  summary: 'Who changed what, the newest first. The replica has none: while the database is away the answer is 503',
  right: { resource: 'audit', verb: 'list' },
  query: AuditQuery,
  answer: { status: 200, shape: pageOfShape(AuditShape) },
  async handle({ farm, query }) {
    const { limit = DEFAULT_LIMIT, continue: cursor, ...filter } = query;
    const before = beforeOf(cursor);
    if (!before.ok) return before;
    const read = await farm.read((database) =>
      auditRows(database, filter, { limit, ...(before.value === undefined ? {} : { before: before.value }) }),
    );
    if (!read.ok) return read;
    const items = read.value.value.slice(0, limit);
    const last = items.at(-1);
    const more = read.value.value.length > limit && last;
    return ok({ body: { items, ...(more ? { continue: Buffer.from(String(last.id)).toString('base64url') } : {}) } });
  },
});

export const sessionRoutes: readonly Route[] = [sessions, audit];
