/** `bootfarm mount`: one shared store on one node, in a mount pod: what the kubelet mounted into the pod is seen on the node, and so by the server there. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type { Binding } from '../mount/plan.ts';
import { holdVolume, releaseVolume } from '../mount/volume.ts';
import { libc } from '../net/libc.ts';
import { createLogger } from '../telemetry/log.ts';

const LOOK_MS = 2_000;

export function mountCommand(): Command {
  return new Command('mount')
    .description('show the volume of a shared store on the node of this pod, until the pod ends')
    .requiredOption(
      '--at <bindings...>',
      'FROM=TO: a mount of this pod, and the folder of the node where the same is seen',
    )
    .action(({ at }: { at: readonly string[] }) => run(at.map(bindingOf)));
}

function bindingOf(text: string): Binding {
  const [from = '', to = ''] = text.split('=');
  return { from, to };
}

async function run(bindings: readonly Binding[]): Promise<void> {
  const log = createLogger('info', {});
  const c = libc();
  if (!c.ok) return stop(c.error.message);
  const leave = (): void => {
    const released = releaseVolume(c.value, bindings, log);
    if (!released.ok) stop(released.error.message);
    process.exit();
  };
  process.on('SIGTERM', leave).on('SIGINT', leave);
  for (;;) {
    const held = holdVolume(c.value, bindings, log);
    // The kubelet starts it again, with more and more time between, and the operator tells what it said.
    if (!held.ok) return stop(held.error.message);
    await delay(LOOK_MS);
  }
}

function stop(message: string): void {
  process.stderr.write(`bootfarm mount: ${message}\n`);
  process.exitCode = 1;
}
