import { type ApiFault, faultOfAnswer } from './fault.ts';
import type { KubeObject } from './object.ts';

/** One line of a watch. A BOOKMARK only says how far the watch has come; an ERROR is the last event. */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly fault: ApiFault };

/** Total: a line that is no event is an ERROR event with the fault ServerError. `about` names the request. */
export function parseWatchLine<T extends KubeObject = KubeObject>(line: string, about: string): WatchEvent<T> {
  let event: { readonly type?: unknown; readonly object?: T } | null;
  try {
    event = JSON.parse(line) as typeof event;
  } catch {
    return malformed(about, line);
  }
  switch (event?.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return event.object?.metadata?.name && event.object.metadata.resourceVersion
        ? { type: event.type, object: event.object }
        : malformed(about, line);
    case 'BOOKMARK':
      return event.object?.metadata?.resourceVersion
        ? { type: 'BOOKMARK', resourceVersion: event.object.metadata.resourceVersion }
        : malformed(about, line);
    case 'ERROR':
      return { type: 'ERROR', fault: faultOfAnswer(0, event.object, about) };
    default:
      return malformed(about, line);
  }
}

const malformed = (about: string, line: string): WatchEvent<never> => ({
  type: 'ERROR',
  fault: { code: 'ServerError', message: `${about} sent a line that is no watch event: ${line.slice(0, 100)}` },
});
