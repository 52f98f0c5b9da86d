import { expect, test } from '@jest/globals';
import { processMetrics } from './process.ts';

test('of Node itself all is told but what lists each handle', () => {
  const names = processMetrics('server')
    .getMetricsAsArray()
    .map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['bootfarm_build_info', 'nodejs_heap_size_used_bytes', 'process_open_fds']),
  );
  expect(names.filter((name) => name.includes('_active_'))).toEqual([]);
});
