/** Debian's chromium, and a way to the API that can be cut: what a test of the console is made of. */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const SCREENSHOTS = join(import.meta.dirname, '../../.build/screenshots');
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The tests run as root in a container, where chromium's own sandbox has no user namespaces; Debian's wrapper asks for a GPU, which is none here. */
export const openBrowser = (executablePath = '/usr/lib/chromium/chromium'): Promise<Browser> =>
  chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });

/** What a page did that no page of ours may: it asked another origin, or met a fault or its own policy. */
export interface Watched {
  readonly context: BrowserContext;
  readonly wrong: string[];
}

export async function openContext(browser: Browser, origin: string, options: BrowserContextOptions): Promise<Watched> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    reducedMotion: 'reduce',
    bypassCSP: false,
    ...options,
  });
  const wrong: string[] = [];
  context.on('request', (asked) => {
    if (!asked.url().startsWith(origin)) wrong.push(`asked ${asked.url()}`);
  });
  context.on('console', (message) => {
    // An answer that is no 2xx is told so by the browser, too; whether it is right the test says.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) wrong.push(message.text());
  });
  context.on('weberror', (error) => wrong.push(String(error.error())));
  return { context, wrong };
}

/** Violations of WCAG 2.2 A and AA, and of good practice: `rule: where`. By its own world, whose script the page's policy does not judge. */
export async function judge(page: Page): Promise<readonly string[]> {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  const evaluate = (expression: string) =>
    session.send('Runtime.evaluate', {
      contextId: executionContextId,
      awaitPromise: true,
      returnByValue: true,
      expression,
    });
  await evaluate(axeSource);
  const { result, exceptionDetails } = await evaluate("axe.run(document, { resultTypes: ['violations'] })");
  await session.detach();
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  const { violations } = result.value as AxeResults;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary}`),
  );
}

export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** Between browser and API: passes bytes on, or holds them back as a network does that is gone. */
export interface Way {
  readonly port: number;
  readonly isHeld: boolean;
  hold(): void;
  pass(): void;
  /** Ends the connections. */
  cut(): void;
  close(): void;
}

export async function openWay(to: number): Promise<Way> {
  const sockets = new Set<Socket>();
  let isHeld = false;
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(one);
          other.destroy();
        });
      one.pipe(other);
      if (isHeld) one.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get isHeld() {
      return isHeld;
    },
    hold() {
      isHeld = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    pass() {
      isHeld = false;
      for (const socket of sockets) socket.destroy();
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
