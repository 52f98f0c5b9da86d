/** The console as a person has it: `bootfarm console` by the kubeconfig, and Debian's chromium beside it. `test/e2e/farm.test.ts` looks at it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Page } from 'playwright-core';
import { inLan } from '../cluster/cluster.ts';
import { openBrowser, openContext } from '../integration/browser.ts';
import type { DemoFarm } from './farm.ts';
import type { OwnSite } from './site.ts';

export interface FarmConsole {
  readonly page: Page;
  /** What a page did that none may: `test/integration/browser.ts`. */
  readonly wrong: readonly string[];
  /** A page of the farm, by its name in the address. */
  show(place: string): Promise<void>;
  close(): Promise<void>;
}

/** Both run where the API server of the cluster is reached. */
export async function openFarmConsole({ site, namespace }: DemoFarm<OwnSite>): Promise<FarmConsole> {
  const { cluster, stateDirectory, desk } = site;
  const [program, ...before] = desk;
  const command = spawn(
    program,
    [...before, 'console', '--no-open', '--plain-address', '--farm', `${namespace}/farm`],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = new Promise((resolve) => command.once('exit', resolve));
  const address = await addressOf(command);
  const browser = join(stateDirectory, 'chromium');
  writeFileSync(browser, `#!/bin/sh\nexec ${inLan(cluster).join(' ')} /usr/lib/chromium/chromium "$@"\n`);
  chmodSync(browser, 0o755);
  const chromium = await openBrowser(browser);
  const { context, wrong } = await openContext(chromium, new URL(address).origin, {
    viewport: { width: 1280, height: 860 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(address);
  return {
    page,
    wrong,
    show: (place) => page.evaluate(`location.hash = '#/${namespace}/farm/${place}'`),
    /** Again: nothing. */
    async close() {
      await chromium.close();
      command.kill('SIGINT');
      await ended;
    },
  };
}

/** What it prints first. */
async function addressOf(command: ChildProcess): Promise<string> {
  let told = '';
  command.stderr?.on('data', (text) => (told += text));
  for await (const line of createInterface({ input: command.stdout as NodeJS.ReadableStream })) return line;
  throw new Error(`bootfarm console ended: ${told}`);
}
