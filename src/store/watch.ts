/**
 * Tells that something in a folder changed, by inotify: once, so that a hundred thousand changes cost what one does. A hint: what changed a look says. Of local file
 * systems alone: of others the kernel tells nothing that comes from elsewhere, and to begin to watch may wait for a server that is away, in Node on the main thread.
 */
import { type FSWatcher, watch } from 'node:fs';

/** `onChange` is called once at most. What it gives ends it. Where it cannot be watched nothing is told. */
export function watchOnce(path: string, onChange: () => void): () => void {
  let watcher: FSWatcher | undefined;
  const end = (): void => {
    watcher?.close();
    watcher = undefined;
  };
  const told = (): void => {
    if (!watcher) return;
    end();
    onChange();
  };
  try {
    watcher = watch(path, { persistent: false }, told);
    // Too many watches of this user, or a folder that went.
    watcher.on('error', told);
  } catch {
    return end;
  }
  return end;
}
