#!/usr/bin/env node
/** The entry of the package for a desk: bundled into one file, which holds nothing of the server. */
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Refusal } from '../terminal/refusal.ts';
import { giveOut, inputOfProcess, interrupted, terminalOfProcess } from '../terminal/terminal.ts';
import { WATCH_MS } from '../terminal/watch.ts';
import { makeProgram } from './program.ts';
import { browse } from './words/console.ts';

/** Put in its place by `test/setup/desk.ts`. */
declare const BOOTFARM_VERSION: string | undefined;

const isPlugin = basename(process.argv[1] ?? '').startsWith('kubectl-');
const program = makeProgram(
  {
    terminal: terminalOfProcess,
    input: { ...inputOfProcess, bytes: () => process.stdin },
    wayTo: async (place) => (await import('./way.ts')).wayTo(place),
    runIn: async (place, at, command, streams) => {
      const { runInServer } = await import('./pod.ts');
      if (place.kind === 'server')
        throw new Refusal('what works on files is run by the Kubernetes API: it needs a kubeconfig, and no --server');
      const { kubeOf } = await import('./kube.ts');
      return runInServer(kubeOf(place), at, command, streams);
    },
    give: giveOut,
    pause: (ms) => delay(ms),
    now: Date.now,
    left: interrupted,
    watchMs: WATCH_MS,
    browse,
  },
  typeof BOOTFARM_VERSION === 'string' ? BOOTFARM_VERSION : 'of the working tree',
  isPlugin ? 'kubectl bootfarm' : 'bootfarm',
);
// Bundled as CommonJS, which loads what is needed alone, and knows no await here.
void program.parseAsync();
