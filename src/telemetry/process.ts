/** What every process of ours tells of itself. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export const RELEASE = process.env['BOOTFARM_RELEASE'] ?? 'dev';

/** prom-client's, each of which lists all that the process has open: two fifths of what a scrape costs the main thread with some hundred connections. */
const LISTS = ['handles', 'requests', 'resources'].flatMap((what) => [
  `nodejs_active_${what}`,
  `nodejs_active_${what}_total`,
]);

/** Its own 10 ms wake a process that has nothing to do a hundred times a second: 4 % of a core in a virtual machine, most of what an operator that stands by takes. */
const LAG_EVERY_MS = 200;

export function processMetrics(role: 'operator' | 'server'): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_EVERY_MS });
  for (const name of LISTS) registry.removeSingleMetric(name);
  new Gauge({
    name: 'bootfarm_build_info',
    help: '1, of the release that this process is',
    labelNames: ['role', 'release'],
    registers: [registry],
  }).set({ role, release: RELEASE }, 1);
  return registry;
}
