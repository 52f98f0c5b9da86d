/** What every process of ours tells of itself. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export const RELEASE = process.env['BOOTFARM_RELEASE'] ?? 'dev';

export function processMetrics(role: 'operator' | 'server'): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'bootfarm_build_info',
    help: '1, of the release that this process is',
    labelNames: ['role', 'release'],
    registers: [registry],
  }).set({ role, release: RELEASE }, 1);
  return registry;
}
