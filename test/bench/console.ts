/**
 * The console of a farm of 10,000 devices, 40 servers and 200 vDisks with 5 versions, in chromium, served by a real operator that stands by (the API is each copy's), on a real
 * API server and a real PostgreSQL, while 200 devices a second begin or end to stream: how long until the first view, the longest piece of work of the page's main
 * thread in chromium's own trace while it is scrolled and searched, and what the operator takes with five consoles open.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, openContext } from '../integration/browser.ts';
import { startFarmForConsole } from './console/farm.ts';
import { processUse } from './console/process.ts';
import { longestTaskMs } from './console/trace.ts';
import { figure, median, type Run } from './figure.ts';

const SIZE = { devices: 10_000, servers: 40, vdisks: 200, versions: 5 };
const CHANGES_PER_SECOND = 200;
const CONSOLES = ['farm', 'vdisks', 'servers', 'devices', 'vdisks/lab'];
const ROUNDS = 5;
const WATCHED_MS = 20_000;
const BARS = { firstViewMs: 1_000, longestFrameMs: 50, operatorCpuPercent: 5, rssMiB: 250 };

export const run: Run = async function* ({ rounds = ROUNDS } = {}) {
  const farm = await startFarmForConsole(SIZE);
  const browser = await openBrowser();
  try {
    const base = { bench: 'console' };
    const views = { farm: [] as number[], devices: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      views.farm.push(await firstView(browser, farm.origin, farm.token, 'farm', '.verdict'));
      views.devices.push(await firstView(browser, farm.origin, farm.token, 'devices', '[aria-rowindex="2"] a'));
    }
    yield figure(
      { ...base, figure: 'firstViewMs', unit: 'ms', value: median(views.farm) },
      undefined,
      BARS.firstViewMs,
    );
    yield figure(
      { ...base, figure: 'firstViewMs.devices', unit: 'ms', value: median(views.devices) },
      undefined,
      BARS.firstViewMs,
    );

    farm.change(CHANGES_PER_SECOND);
    const page = await openConsole(browser, farm.origin, farm.token, 'devices');
    await page.getByText('10,000 devices').waitFor({ timeout: 60_000 });
    const parts = { scroll: scroll, search: search };
    for (const [name, act] of Object.entries(parts)) {
      await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline'] });
      await act(page);
      const trace = await browser.stopTracing();
      const value = longestTaskMs(trace.toString());
      yield figure({ ...base, figure: `longestFrameMs.${name}`, unit: 'ms', value }, undefined, BARS.longestFrameMs);
    }
    await page.context().close();

    for (const place of CONSOLES) {
      const one = await openConsole(browser, farm.origin, farm.token, place);
      await one.getByText('Live').waitFor({ timeout: 60_000 });
    }
    await delay(10_000); // their lists are read
    const before = processUse(farm.operatorPid);
    const changedBefore = farm.changed();
    await delay(WATCHED_MS);
    const after = processUse(farm.operatorPid);
    const seconds = (after.atMs - before.atMs) / 1_000;
    yield figure({
      ...base,
      figure: 'changesPerSecond',
      unit: '1/s',
      value: (farm.changed() - changedBefore) / seconds,
    });
    const percent = ((after.cpuMs - before.cpuMs) / (after.atMs - before.atMs)) * 100;
    yield figure(
      { ...base, figure: 'operatorCpuPercent', unit: '%', value: percent },
      undefined,
      BARS.operatorCpuPercent,
    );
    yield figure({ ...base, figure: 'rssMiB', unit: 'MiB', value: after.highestRssMiB }, undefined, BARS.rssMiB);
  } finally {
    await browser.close();
    await farm.close();
  }
};

async function openConsole(browser: Browser, origin: string, token: string, place: string): Promise<Page> {
  const { context } = await openContext(browser, origin, {
    viewport: { width: 1280, height: 860 },
    extraHTTPHeaders: { authorization: `Bearer ${token}` },
  });
  const page = await context.newPage();
  await page.goto(`${origin}#/lab/farm/${place}`);
  return page;
}

/** Of a browser that was never here: from the first byte that it asks for until what it came for is there. */
async function firstView(
  browser: Browser,
  origin: string,
  token: string,
  place: string,
  shows: string,
): Promise<number> {
  const page = await openConsole(browser, origin, token, place);
  await page.locator(shows).first().waitFor({ timeout: 60_000 });
  const ms = await page.evaluate('performance.now()');
  await page.context().close();
  return Number(ms);
}

/** By the wheel through a part of the list, to its ends, and by pages. */
async function scroll(page: Page): Promise<void> {
  await page.mouse.move(640, 500);
  for (let turn = 0; turn < 60; turn++) {
    await page.mouse.wheel(0, 400 + turn * 40);
    await delay(50);
  }
  await page.locator('.grid-row a').first().focus();
  for (const key of ['End', 'PageUp', 'PageUp', 'Home', 'PageDown', 'PageDown', 'End', 'Home']) {
    await page.keyboard.press(key);
    await delay(150);
  }
}

async function search(page: Page): Promise<void> {
  const field = page.getByRole('searchbox');
  for (const text of ['pc0', 'pc0999', '52:54:00:00:27', '']) {
    await field.fill('');
    await field.pressSequentially(text, { delay: 60 });
    await delay(300);
  }
}
