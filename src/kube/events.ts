import { randomBytes } from 'node:crypto';
import type { Logger } from '../telemetry/log.ts';
import type { Client } from './client.ts';
import { EventBook, type EventSaying } from './event-book.ts';
import { kinds } from './kinds.ts';
import { microTime } from './micro-time.ts';
import { at, type KubeObject } from './object.ts';

export type { EventSaying } from './event-book.ts';

/** Tells people what happened to an object: `kubectl describe` shows it. Never throws, never makes anybody wait. */
export type RecordEvent = (object: KubeObject, saying: EventSaying) => void;

export interface EventsOptions {
  readonly client: Client;
  readonly logger: Logger;
  /** Which process speaks: the pod's name. */
  readonly instance: string;
  readonly controller?: string;
}

const NOTE_BYTES = 1_024;

export function eventRecorder({
  client,
  logger,
  instance,
  controller = 'bootfarm.io/operator',
}: EventsOptions): RecordEvent {
  const book = new EventBook();

  const write = async (object: KubeObject, saying: EventSaying): Promise<void> => {
    const { name, namespace = 'default', uid = '' } = object.metadata;
    const newName = `${name.slice(0, 230)}.${randomBytes(8).toString('hex')}`;
    const action = book.record(uid, saying, newName, performance.now());
    if (action.kind === 'Drop') return;
    const time = microTime(Date.now());
    const answer =
      action.kind === 'Create'
        ? await client.create(at(kinds.Event, namespace, newName), {
            eventTime: time,
            reportingController: controller,
            reportingInstance: instance.slice(0, 128),
            type: saying.type,
            reason: saying.reason,
            action: saying.action,
            note: cut(saying.note),
            regarding: { apiVersion: object.apiVersion, kind: object.kind, name, uid, ...regardingNamespace(object) },
          })
        : await client.patch(at(kinds.Event, namespace, action.name), {
            series: { count: action.count, lastObservedTime: time },
          });
    if (answer.ok) return;
    book.forget(action.id);
    logger.debug({ ...answer.error, reason: saying.reason }, 'an event was not written');
  };

  return (object, saying) => {
    write(object, saying).catch((error: unknown) => logger.error({ error }, 'an event could not be made'));
  };
}

const regardingNamespace = ({ metadata: { namespace } }: KubeObject) => (namespace ? { namespace } : {});

/** At most `NOTE_BYTES` bytes, cut between characters. */
function cut(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= NOTE_BYTES) return note;
  const whole = bytes.subarray(0, NOTE_BYTES - 3).toString('utf8');
  return `${whole.replace(/\uFFFD+$/, '')}…`;
}
