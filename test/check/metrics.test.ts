import { expect, test } from '@jest/globals';
import { serverMetrics } from '../../src/server/metrics.ts';
import { someNumbers } from '../builders/metrics.ts';
import { type Metric, metricFaults, operatorTable, serverTable } from './metrics.ts';

const store = { name: 'images', state: 'Accessible', freeBytes: 1, totalBytes: 2 } as const;

test('what a server tells is in the table, and each label has values that are known', async () => {
  const { registry } = serverMetrics(someNumbers({ stores: () => [store] }));
  expect(metricFaults(await registry.metrics(), await serverTable())).toEqual([]);
});

test('each label of the operator has values that are known', async () => {
  expect(metricFaults('', await operatorTable())).toEqual([]);
});

const table: readonly Metric[] = [
  { name: 'bootfarm_x', type: 'gauge', help: '', labels: { state: ['a', 'b'], name: { oneFor: 'resource' } } },
  { name: 'bootfarm_y_seconds', type: 'histogram', help: '', labels: {} },
];
test.each([
  ['process_cpu_seconds_total 1', []],
  ['bootfarm_x{state="a",name="anything"} 1', []],
  ['bootfarm_y_seconds_bucket{le="0.1"} 1\nbootfarm_y_seconds_sum 1', []],
  ['bootfarm_z_total 1', ['bootfarm_z_total is in no table of docs/metrics.md']],
  ['bootfarm_x{state="c"} 1', ['bootfarm_x: state is c, which is no value of it']],
  ['bootfarm_x{mac="52:54"} 1', ['bootfarm_x has a label mac that its table lacks']],
])('%s', (text, faults) => {
  expect(metricFaults(text, table)).toEqual(faults);
});

test('a label of which nothing is known is a fault', () => {
  const open: Metric = { name: 'bootfarm_x', type: 'gauge', help: '', labels: { mac: [] } };
  expect(metricFaults('', [open])).toEqual(['bootfarm_x: nothing says which values mac has']);
});
