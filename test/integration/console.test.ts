/**
 * The console in Debian's chromium, against the real API: each page in both themes judged by axe-core, on a telephone and at 200 % zoom, with a picture of each in
 * .build/screenshots; what is live, lost and edited.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { snapshot } from '../../src/database/project.ts';
import { endSession } from '../../src/database/servers.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { binary } from '../cluster/cluster.ts';
import { aConsoleFarm, loadCopies } from '../fakes/consolefarm.ts';
import { loadDatabase } from '../fakes/database.ts';
import { until } from '../setup/time.ts';
import {
  admin,
  api,
  database,
  fillReplica,
  hear,
  informers,
  kube,
  LAB,
  postgres,
  startFarm,
  stopFarm,
  value,
  who,
} from './api-farm.ts';
import { judge, openBrowser, openContext, openWay, picture, type Watched, type Way } from './browser.ts';

const DEVICES = 200;
let browser: Browser;
let way: Way;
let origin = '';
const farm = aConsoleFarm({ devices: DEVICES, servers: 5, vdisks: 6, versions: 4, nowMs: Date.now() });
/** Those of a test, closed behind it; and one that several tests look at. */
const open: Watched[] = [];
let shared: Watched[] = [];

beforeAll(async () => {
  if (!existsSync(join(import.meta.dirname, '../../dist/console/index.html')))
    throw new Error('there is no dist/console: npm run build makes it');
  [browser] = await Promise.all([openBrowser(), startFarm()]);
  await loadDatabase(database, farm.contents);
  await loadCopies(database, farm);
  const { farm: resource, ...lists } = farm.resources(value(await snapshot(database))?.farm.id ?? '');
  const put = (informer: typeof informers.farms, objects: readonly unknown[]): void => {
    for (const object of objects) informer.put(object as KubeObject);
  };
  put(informers.farms, [resource]);
  put(informers.stores, lists.stores);
  put(informers.vdisks, lists.vdisks);
  put(informers.pools, lists.pools);
  for (const step of ['discover', 'offer', 'script', 'kernel'] as const) hear('52:54:00:00:00:03', true, { step });
  hear('52:54:00:00:00:03', true, {
    step: 'login',
    reason: { code: 'NoCopy', message: 'no server has a right copy of exam version 2' },
  });
  for (const last of ['01', '02'])
    hear(`52:99:00:00:00:${last}`, false, { step: 'discover' }, { architecture: 7, relay: '10.0.0.1' });
  way = await openWay(api.port);
  origin = `https://localhost:${way.port}/`;
});

afterEach(async () => {
  if (way.isHeld) way.pass();
  const wrong = [...open, ...shared].flatMap((watched) => watched.wrong);
  await Promise.all(open.splice(0).map(({ context }) => context.close()));
  expect(wrong).toEqual([]);
});

afterAll(async () => {
  await browser?.close();
  way?.close();
  await stopFarm();
});

const kubectl = (args: readonly string[], input = ''): string =>
  execFileSync(binary('kubectl'), ['--kubeconfig', kube.kubeconfig, ...args], {
    cwd: join(import.meta.dirname, '../..'),
    encoding: 'utf8',
    input,
    stdio: ['pipe', 'pipe', 'pipe'],
  });

/** As behind the desk's proxy, which says who asks. */
async function openPage(place: string, options: BrowserContextOptions & { readonly as?: string } = {}): Promise<Page> {
  const { as = 'administrator', ...rest } = options;
  const watched = await openContext(browser, origin, {
    viewport: { width: 1280, height: 860 },
    ...(as === 'nobody' ? {} : { extraHTTPHeaders: { authorization: `Bearer ${who[as]?.token}` } }),
    ...rest,
  });
  open.push(watched);
  const page = await watched.context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(`${origin}#/lab/farm/${place}`);
  return page;
}

/** What is there once a page is whole. */
const PAGES: readonly (readonly [place: string, shows: string])[] = [
  ['farm', 'What to do: Look at the copies'],
  ['vdisks', 'image-005'],
  ['vdisks/lab', 'servers differ, and nothing says who is right'],
  ['servers', 'takes none'],
  ['devices', `${DEVICES} devices`],
  ['devices/pc00004', 'no server has a right copy of exam version 2'],
  ['devices/pc00004/edit', 'What it is told about itself'],
  ['devices/~new', 'Add a device'],
  ['devices/~import', 'Import devices'],
  ['unknown', '52:99:00:00:00:01'],
  ['audit', 'add device pc00200'],
  ['resources', 'StreamingServer'],
  ['resources/VDisk/office', 'Nothing was told of it in the last hour.'],
];
/** Colours of the chart's pixels: `red,green,blue`. */
const OPAQUE = `(() => {
  const canvas = document.querySelector('.chart canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) seen.add(data.slice(at, at + 3).join());
  return [...seen];
})()`;
const nameOf = (place: string): string => place.replaceAll(/[^a-z0-9]+/g, '-');
const whole = (page: Page, shows: string) => page.getByText(shows).first().waitFor();
const headed = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).waitFor();

describe('each page', () => {
  let page: Page;
  beforeAll(async () => {
    page = await openPage('farm');
    shared = open.splice(0);
  });
  afterAll(async () => {
    await page.context().close();
    shared = [];
  });

  test.each(PAGES)('%s is right in both themes, on a telephone and at 200 %% zoom', async (place, shows) => {
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.evaluate(`location.hash = '#/lab/farm/${place}'`);
    await whole(page, shows);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await judge(page)).toEqual([]);
      await picture(page, `${nameOf(place)}-${colorScheme}`);
    }
    await page.emulateMedia({ colorScheme: 'light' });
    for (const [size, width, height] of [
      ['375px', 375, 720],
      ['200percent', 640, 430],
    ] as const) {
      await page.setViewportSize({ width, height });
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
      await picture(page, `${nameOf(place)}-${size}`);
    }
  });
});

test('the chart is drawn in the colours of its theme', async () => {
  const page = await openPage('farm');
  await whole(page, 'Live');
  const seen = informers.farms.get(`${LAB}/farm`) as KubeObject;
  let minutes = 0;
  // A point comes a minute at most, and of one alone nothing is drawn: when the first one came is not known from here.
  await until('the chart', async () => {
    await page.clock.setSystemTime(Date.now() + ++minutes * 60_000);
    const labels = { seen: String(minutes) };
    informers.farms.put({ ...seen, metadata: { ...seen.metadata, resourceVersion: `chart-${minutes}`, labels } });
    return page.locator('.chart canvas').isVisible();
  });
  for (const [colorScheme, line] of [
    ['dark', '50,58,70'], // --line of tokens.css
    ['light', '217,222,229'],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    const drawn = await until('its lines', async () => {
      const colours = (await page.evaluate(OPAQUE)) as readonly string[];
      return colours.includes(line) && colours;
    });
    expect(drawn).not.toContain('0,0,0');
  }
});

describe('who asks', () => {
  test('nobody is known without a credential: a token is pasted, works, and lies in no storage', async () => {
    const page = await openPage('devices', { as: 'nobody' });
    const field = page.getByLabel('Token of the cluster');
    await field.waitFor();
    expect(await judge(page)).toEqual([]);
    await picture(page, 'sign-in');
    await field.fill('no-token');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await field.fill(who['viewer']?.token ?? '');
    await page.keyboard.press('Enter');
    await whole(page, `${DEVICES} devices`);
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    );
    expect(kept).not.toContain((who['viewer']?.token ?? '').slice(0, 40));
    await page.reload();
    await field.waitFor();
  });

  test('who is bound to a collection sees its devices, and is told what they may not', async () => {
    const page = await openPage('devices', { as: 'bound' });
    await whole(page, `${DEVICES / 4} devices`);
    await page.getByRole('link', { name: 'Audit' }).click();
    await page
      .getByRole('alert')
      .getByText(/may not list audit/)
      .waitFor();
  });
});

describe('live', () => {
  test('a device that ends, moves and goes is seen without a reload', async () => {
    const page = await openPage('devices?search=pc00001');
    const row = page.getByRole('row', { name: 'pc00001' });
    await row.getByText('Streaming').waitFor();
    const session = farm.contents.sessions.find(({ device }) => device === 'pc00001');
    value(await endSession(database, 'pc00001', session?.epoch ?? 0));
    await row.getByText('Off').waitFor({ timeout: 2_000 });
    expect((await admin('PATCH', '/devices/pc00001', { body: { collection: 'library' } })).status).toBe(200);
    await row.getByText('library').waitFor({ timeout: 2_000 });
    expect((await admin('DELETE', '/devices/pc00001')).status).toBe(204);
    await page.getByText('No device is so.').waitFor({ timeout: 2_000 });
  });

  test.each(['held back', 'cut'])(
    'a connection that is %s is told within 5 s, all is greyed, and it heals by itself',
    async (how) => {
      const page = await openPage('farm');
      await whole(page, 'Live');
      const began = Date.now();
      if (how === 'cut') {
        way.hold();
        way.cut();
      } else way.hold();
      await page.getByText('Connection lost').waitFor();
      expect(Date.now() - began).toBeLessThan(5_000);
      await page.locator('.is-lost').waitFor();
      expect(await judge(page)).toEqual([]);
      await picture(page, `lost-${nameOf(how)}`);
      way.pass();
      await whole(page, 'Live');
      await page.locator('.is-lost').waitFor({ state: 'detached' });
    },
  );

  test('while the database is away what is shown is old, and says since when', async () => {
    await fillReplica();
    const page = await openPage('devices');
    await whole(page, `${DEVICES - 1} devices`);
    await postgres.kill();
    await page.locator('.banner').waitFor();
    await page.locator('.old').waitFor();
    expect(await judge(page)).toEqual([]);
    await picture(page, 'database-away');
    await page.getByRole('link', { name: 'pc00002' }).click();
    await page.getByRole('button', { name: 'Disable' }).click();
    await page
      .getByRole('alert')
      .getByText(/nothing was changed/)
      .waitFor();
    await postgres.start();
    await page.locator('.banner').waitFor({ state: 'detached' });
  });
});

describe('by the keyboard', () => {
  test('every page is reached, and any of all devices', async () => {
    const page = await openPage('farm');
    await whole(page, 'Live');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent.trim()')).toBe('To the content');
    const focused = () => page.evaluate('document.activeElement.textContent');
    for (let tabs = 0; (await focused()) !== 'Devices' && tabs < 12; tabs++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText(/^\d+ devices/).waitFor();
    for (let tabs = 0; (await focused()) !== 'pc00002' && tabs < 20; tabs++) await page.keyboard.press('Tab');
    await page.keyboard.press('End');
    await until('the last one has the focus', async () => (await focused()) === 'pc00200');
    await page.keyboard.press('ArrowUp');
    await until('the one before has it', async () => (await focused()) === 'pc00199');
    await page.keyboard.press('Enter');
    await headed(page, 'Device pc00199');
  });
});

describe('edits', () => {
  test('a device is added, is told what is wrong, and is not written over', async () => {
    const page = await openPage('devices/~new');
    await page.getByLabel('Name').fill('new-one');
    await page.getByLabel('MACs').fill('52:54:00:00:00:zz');
    await page.getByRole('button', { name: 'Add' }).click();
    await page.locator('#field-macs-help .wrong').waitFor();
    expect(await judge(page)).toEqual([]);
    await picture(page, 'device-wrong');
    await page.getByLabel('MACs').fill('52-54-01-00-00-01');
    await page.getByRole('button', { name: 'Add' }).click();
    await headed(page, 'Device new-one');
    await page.getByRole('link', { name: 'Edit' }).click();
    await page.getByLabel('Properties').fill('seat=B2');
    expect((await admin('PATCH', '/devices/new-one', { body: { enabled: false } })).status).toBe(200);
    await page.getByRole('button', { name: 'Save' }).click();
    await page
      .getByRole('alert')
      .getByText(/read it again/)
      .waitFor();
    await page.getByRole('button', { name: 'Read it again' }).click();
    await page.getByLabel('It may boot').check();
    await page.getByRole('button', { name: 'Save' }).click();
    await headed(page, 'Device new-one');
    await page.getByRole('link', { name: 'Edit' }).click();
    await page.getByRole('button', { name: 'Remove…' }).click();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByText(/^\d+ devices/).waitFor();
    expect((await admin('GET', '/devices/new-one')).status).toBe(404);
  });

  test('bad lines are shown in their file, mended there, and then it comes in whole', async () => {
    const page = await openPage('devices/~import');
    const lines = [
      'name,mac,collection',
      'in-1,52:54:02:00:00:01,room-101',
      'in-2,zz,room-101',
      'in-3,52:54:02:00:00:03,library',
    ];
    const buffer = Buffer.from(`${lines.join('\n')}\n`);
    await page.getByLabel('File').setInputFiles({ name: 'devices.csv', mimeType: 'text/csv', buffer });
    const bad = page.getByLabel('Line 3');
    await bad.waitFor();
    expect(await judge(page)).toEqual([]);
    await picture(page, 'import-bad-lines');
    await bad.fill('in-2,52:54:02:00:00:02,room-101');
    await page.getByRole('button', { name: 'Judge again' }).click();
    await whole(page, '3 devices to be added');
    await page.getByRole('button', { name: 'Import' }).click();
    await whole(page, '3 devices were added');
    expect((await admin('GET', '/devices/in-2')).status).toBe(200);
  });

  test('a spec is edited as YAML, in the words of its schema; where git keeps it the patch is shown', async () => {
    const [lab] = farm.resources('').vdisks;
    const written = JSON.stringify({ ...lab, status: undefined, metadata: { name: 'lab', namespace: LAB } });
    kubectl(['apply', '--server-side', '-f', 'crds/bootfarm.io_vdisks.yaml']);
    await until('the API server takes VDisks', () => kubectl(['apply', '-f', '-'], written));
    for (const args of [
      ['role', 'releases', '--verb=patch', '--resource=vdisks.bootfarm.io', '--resource-name=lab'],
      ['rolebinding', 'releases', '--role=releases', `--serviceaccount=${LAB}:administrator`],
    ])
      kubectl(['create', ...args, '--namespace', LAB]);
    const page = await openPage('resources/VDisk/lab');
    const spec = page.getByLabel('Spec as YAML');
    await spec.waitFor();
    const text = await spec.inputValue();
    await spec.fill(text.replace('enabled: true', 'enabled: perhaps'));
    await page.getByRole('button', { name: 'Judge' }).click();
    await page
      .getByRole('alert')
      .getByText(/spec.enabled: Invalid value/)
      .waitFor();
    expect(await judge(page)).toEqual([]);
    await picture(page, 'resource-wrong');
    await spec.fill(text.replace('enabled: true', 'enabled: false'));
    await page.getByRole('button', { name: 'Judge' }).click();
    await page.getByText('The API server takes it so.').waitFor();
    informers.vdisks.put({
      ...informers.vdisks.get(`${LAB}/lab`),
      metadata: {
        ...{ name: 'lab', namespace: LAB, resourceVersion: '101', generation: 1 },
        labels: { 'kustomize.toolkit.fluxcd.io/name': 'farm' },
      },
    } as KubeObject);
    await page.reload();
    await page.getByText(/It is kept by Flux/).waitFor();
    await spec.fill(text.replace('enabled: true', 'enabled: false'));
    await page.getByText('The patch to commit').waitFor();
    expect(await page.locator('.patch pre').textContent()).toBe('spec:\n  enabled: false\n');
    expect(await page.getByRole('button', { name: 'Apply' }).count()).toBe(0);
    expect(await judge(page)).toEqual([]);
    await picture(page, 'resource-managed');
  });

  test('an unknown machine is one click from a device', async () => {
    const page = await openPage('unknown');
    const row = page.getByRole('row', { name: '52:99:00:00:00:02' });
    await row.getByRole('button', { name: 'Add' }).click();
    await row.waitFor({ state: 'detached' });
    expect((await admin('GET', '/devices/pc-000002')).body).toMatchObject({
      macs: ['52:99:00:00:00:02'],
      collection: 'room-101',
    });
  });
});
