/** The edge: mounts are made and taken off, by calls of libc, since the image has no mount(8). */
import { mkdirSync, rmdirSync } from 'node:fs';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Libc, MNT_DETACH, MS_BIND, UMOUNT_NOFOLLOW } from '../net/libc.ts';
import { readMounts } from '../store/mounted.ts';
import type { Logger } from '../telemetry/log.ts';
import { type Binding, type Step, stepsToHold, stepsToRelease } from './plan.ts';

type Done = Result<void, Fault<'MountFailed'>>;

/** Makes it so, where it is not so already. */
export const holdVolume = (c: Libc, bindings: readonly Binding[], log: Logger): Done =>
  apply(c, stepsToHold(bindings, readMounts()), log);

/** Takes it off, and its empty folders: a path that is not there is taken for no store. */
export function releaseVolume(c: Libc, bindings: readonly Binding[], log: Logger): Done {
  const released = apply(c, stepsToRelease(bindings, readMounts()), log);
  for (const { to } of released.ok ? bindings : []) {
    try {
      rmdirSync(to);
    } catch {
      // it is gone, or somebody put something there
    }
  }
  return released;
}

function apply(c: Libc, steps: readonly Step[], log: Logger): Done {
  for (const step of steps) {
    const done = step.kind === 'Bind' ? bind(c, step) : unmount(c, step.at);
    if (!done.ok) return done;
    log.info({ ...step }, step.kind === 'Bind' ? 'mounted' : 'unmounted');
  }
  return ok(undefined);
}

function bind(c: Libc, { from, to }: Binding): Done {
  try {
    mkdirSync(to, { recursive: true });
  } catch (thrown) {
    return fail('MountFailed', `${to} cannot be made: ${errorMessage(thrown)}`);
  }
  if (c.mount(from, to, 'none', MS_BIND, 0) === 0) return ok(undefined);
  const error = c.error();
  const way = error === 'EPERM' ? ': the pod has to be privileged' : '';
  return fail('MountFailed', `${from} cannot be mounted on ${to} (${error})${way}`);
}

/** Lazily: what is open there is read on, and a volume that answers nothing holds nobody up. */
function unmount(c: Libc, at: string): Done {
  if (c.umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return ok(undefined);
  return fail('MountFailed', `${at} cannot be unmounted (${c.error()})`);
}
