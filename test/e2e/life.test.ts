/**
 * Two farms in two namespaces on three nodes, each made, changed, deleted and made again in every way there is, while machines of both read: who is
 * not meant is not touched, and who is comes back with its data. The tests build on one another, in the order of the file.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stopCluster, tagImage } from '../cluster/cluster.ts';
import { runAsync, until } from '../cluster/run.ts';
import { DemoFarm, type FarmStatus, installOperator, OPERATOR_NAMESPACE, RESOURCES } from '../demo/farm.ts';
import {
  askToDelete,
  deleteDefinitions,
  deleted,
  deleteFarm,
  deleteNamespace,
  deleteOther,
  emptyServers,
  nodesThatBoot,
  nodesThatKnow,
  otherFarm,
  recover,
  refusal,
  runImage,
  withoutOperator,
} from '../demo/life.ts';
import { OWN_IMAGE, type OwnSite } from '../demo/site.ts';
import {
  type Booted,
  boot,
  deviceName,
  macOf,
  prepare,
  type ReadReport,
  readThrough,
  secondServer,
  withStandby,
} from '../demo/steps.ts';

const MINUTE = 60_000;
const ANNEX = 'annex';
/** A server that starts anew is away for 15 s and more: beyond this a machine was cut, below it two processors had much to do. */
const CUT_MS = 5_000;
/** The bar for an upgrade and a rollback. */
const ROLLOUT_STALL_MS = 400;
const NEXT_IMAGE = OWN_IMAGE.replace(/:.*/, ':next');
/** `make life` says how long; without, what takes minutes and is no way of a farm's end is left out: `make test` has 40 of them. */
const { QUIET_SECONDS } = process.env;
const QUIET_MS = Number(QUIET_SECONDS ?? 0) * 1_000;
const long = QUIET_SECONDS === undefined ? test.skip : test;
/** From the first to the last, and from the last to the first: whatever waits for another waits. */
const FORWARD = ['Farm', 'Store', 'VDisk', 'StreamingServer'];
const BACKWARD = FORWARD.toReversed();

const stateDirectory = mkdtempSync(join(tmpdir(), 'bootfarm-life-'));
const say = (line: string): void => void process.stderr.write(`  ${line}\n`);
let main: DemoFarm<OwnSite>;
let annex: DemoFarm<OwnSite>;
let ofMain: Booted;
let ofAnnex: Booted;
let recoveryKey: string;

const nodesOf = async (farm: DemoFarm): Promise<string[]> => (await farm.streaming()).map(({ name }) => name).sort();

/** Every node tells the machines of its own farm how they boot, and no others. */
async function apart(): Promise<void> {
  expect(nodesThatKnow(main, macOf(1)).toSorted()).toEqual(await nodesOf(main));
  expect(nodesThatKnow(annex, macOf(2)).toSorted()).toEqual(await nodesOf(annex));
}

/** Not one read is wrong, and none waits for long. */
function untouched(what: string, reports: readonly ReadReport[], longestStallMs = CUT_MS): void {
  for (const { reads, wrong, failed, longestStallMs: longest } of reports) {
    say(`${what}: ${reads} reads, longest stall ${longest} ms`);
    expect({ wrong, failed }).toEqual({ wrong: 0, failed: 0 });
    expect(reads).toBeGreaterThan(100);
    expect(longest).toBeLessThan(longestStallMs);
  }
}

const pods = async (farm: DemoFarm): Promise<string[]> => (await farm.serverPods()).map(({ name }) => name).sort();

beforeAll(async () => {
  main = await prepare(join(stateDirectory, 'cluster'), say, { prefix: 'bl', network: '10.76.0' }, 'every node');
  annex = new DemoFarm(main.site, say, ANNEX);
  await tagImage(main.site.cluster, OWN_IMAGE, NEXT_IMAGE);
});

afterAll(async () => {
  await stopCluster(join(stateDirectory, 'cluster'));
  rmSync(stateDirectory, { recursive: true, force: true });
});

test('two farms of one name, the second made from its last resource to its first, share three nodes; each boots its own machine, one by BIOS, one by UEFI', async () => {
  await main.makeNamespace();
  await annex.makeNamespace();
  await installOperator(main.site, [main.namespace, ANNEX]);
  await main.make(FORWARD);
  await main.waitReady();
  await secondServer(main);
  await annex.make(BACKWARD);
  await annex.waitReady();
  recoveryKey = await main.keys('recovery');
  await main.addDevice(deviceName(1), macOf(1));
  await annex.addDevice(deviceName(2), macOf(2));
  await until('each machine known', MINUTE, async () => (await annex.devices()).length === 1);
  [ofMain, ofAnnex] = await Promise.all([boot(main, 1), boot(annex, 2, 'uefi')]);
  expect(await nodesOf(main)).toContain(ofMain.server);
  expect(await nodesOf(annex)).toEqual([ofAnnex.server]);
  await apart();
});

long(
  `${QUIET_MS / 1_000} quiet seconds with machines: nothing of the two farms is written`,
  async () => {
    const written = async () => ({ main: await main.written(), annex: await annex.written() });
    for (const farm of [main, annex])
      await until('its machine is no longer counted as one that boots', 2 * MINUTE, async () => {
        const { devices } = await farm.status<FarmStatus>('farm/farm');
        return devices?.streaming === 1 && devices.booting === 0;
      });
    let before = await written();
    await until('a while without a write', 4 * MINUTE, async () => {
      const earlier = before;
      await delay(20_000); // until counts are told
      before = await written();
      return isDeepStrictEqual(before, earlier);
    });
    await delay(QUIET_MS); // what the test is about
    expect(await written()).toEqual(before);
  },
  7 * MINUTE + QUIET_MS,
);

test('in use, nothing of a farm is deleted by the way, not the namespace that it would go with, nor a definition', async () => {
  const reports = await readThrough([ofMain.machine, ofAnnex.machine], async () => {
    for (const resource of RESOURCES)
      expect(await refusal(annex, 'delete', resource)).toMatch(
        /is used by \d+ devices?: .*bootfarm\.io\/confirm-delete=yes/,
      );
    expect(await refusal(annex, 'delete', 'namespace', ANNEX)).toMatch(/holds Farm farm, which 1 devices? uses?/);
    expect(await refusal(annex, 'delete', 'crd', 'vdisks.bootfarm.io')).toMatch(/go all vdisks of this cluster/);
  });
  untouched('refused', reports);
});

long(
  'Helm upgrades to another release and rolls back: every server starts anew twice, and machines read on',
  async () => {
    await withStandby(ofMain.machine);
    const [helm, ...args] = main.site.helm;
    const upgrade = await readThrough([ofMain.machine], async () => {
      await installOperator({ ...main.site, image: NEXT_IMAGE }, [main.namespace, ANNEX]);
      for (const farm of [main, annex]) await runImage(farm, NEXT_IMAGE);
    });
    untouched('upgrade', upgrade, ROLLOUT_STALL_MS);
    await main.waitReady();
    await withStandby(ofMain.machine);
    const rollback = await readThrough([ofMain.machine], async () => {
      await runAsync(
        helm,
        ...args,
        'rollback',
        'bootfarm',
        '--namespace',
        OPERATOR_NAMESPACE,
        '--wait',
        '--timeout',
        '3m',
      );
      for (const farm of [main, annex]) await runImage(farm, OWN_IMAGE);
    });
    untouched('rollback', rollback, ROLLOUT_STALL_MS);
    for (const farm of [main, annex]) await farm.waitReady();
  },
);

test('the definitions go and return: no server is started anew, and the next resources take over those that run', async () => {
  const before = [await pods(main), await pods(annex)];
  const reports = await readThrough([ofMain.machine, ofAnnex.machine], async () => {
    await deleteDefinitions(main);
    await delay(5_000); // for the garbage collector to show what it takes for its own
    expect([await pods(main), await pods(annex)]).toEqual(before);
    await installOperator(main.site, [main.namespace, ANNEX]);
    await annex.make(BACKWARD);
    await main.make(FORWARD, 2);
    for (const farm of [main, annex]) await farm.waitReady();
  });
  untouched('definitions', reports);
  expect([await pods(main), await pods(annex)]).toEqual(before);
  expect(await main.device('list')).toContain(deviceName(1));
  await apart();
});

test('deleted while the operator is away, a farm goes when it returns; made again, its machine goes on where it was; the other reads on', async () => {
  const reports = await readThrough([ofMain.machine], async () => {
    await withoutOperator(annex, () => askToDelete(annex, 'foreground'));
    await deleted(annex);
    await annex.make(['VDisk', 'StreamingServer', 'Farm', 'Store']);
    await annex.waitReady();
  });
  untouched('the other farm deleted and made again', reports);
  // A machine without a server asks each of them again within 6 s: the first reads wait for that.
  const goesOn = async () => (await readThrough([ofAnnex.machine], async () => {}))[0].longestStallMs < 500;
  await until('its machine goes on', MINUTE, goesOn);
  untouched('made again', await readThrough([ofAnnex.machine], () => delay(3_000)));
  await apart();
});

test('with its namespace its Secrets go: made again it says what its data lacks, boots nobody, and its recovery key gives it back', async () => {
  const nodes = await nodesOf(main);
  const reports = await readThrough([ofAnnex.machine], async () => {
    await deleteNamespace(main);
    await main.makeNamespace();
    await installOperator(main.site, [main.namespace, ANNEX]);
    await main.make(BACKWARD, 2);
    const { message } = await main.notReady('DatabasePasswordLost');
    expect(message).toMatch(/made with another password than Secret farm-database has.*bootfarm keys recover/);
    expect(nodesThatBoot(main, nodes)).toEqual([]);
    await recover(main, recoveryKey);
    await main.waitReady();
  });
  untouched('the other namespace deleted and made again', reports);
  untouched('recovered', await readThrough([ofMain.machine], () => delay(3_000)));
  expect(await main.device('list')).toContain(deviceName(1));
});

test('both gone, another farm with a pool of the same name on the same nodes finds nothing of them: not one packet to their machines', async () => {
  for (const { machine } of [ofMain, ofAnnex]) await machine.kill();
  const { nodes } = main.site.cluster;
  await until('each node boots machines', MINUTE, () => isDeepStrictEqual(nodesThatBoot(main, nodes), nodes));
  await Promise.all([deleteFarm(main), deleteFarm(annex, 'foreground')]);
  otherFarm(main);
  const empty = await emptyServers(main);
  expect(nodesThatBoot(main, nodes)).toEqual([]);
  expect([1, 2].flatMap((number) => nodesThatKnow(main, macOf(number)))).toEqual([]);
  expect(empty).toHaveLength(2);
  await deleteOther(main);
});

long(
  'made again the other first, on other nodes: both have their data, and each machine boots from its own',
  async () => {
    await annex.make(FORWARD, 2);
    await main.make(BACKWARD);
    for (const farm of [annex, main]) await farm.waitReady();
    [ofMain, ofAnnex] = await Promise.all([boot(main, 1), boot(annex, 2, 'uefi')]);
    expect(await nodesOf(main)).toEqual([ofMain.server]);
    expect(await nodesOf(annex)).toContain(ofAnnex.server);
    await apart();
  },
);
