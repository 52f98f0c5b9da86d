/** `bootfarm status`: where the farm stands, and the first thing in its way. */
import { Command } from 'commander';
import { watched } from '../../terminal/watch.ts';
import type { FarmAnswer, PoolAnswer, ServerAnswer, StoreAnswer, VDiskAnswer } from '../answers.ts';
import { type Desk, withFarm } from '../desk.ts';
import { EXIT } from '../exit.ts';
import type { DeskFarm } from '../farm.ts';
import { dataText, outputOption, watchOption } from '../output.ts';
import { type FarmStatus, statusOf } from '../status.ts';
import { statusText } from '../status-view.ts';

export function statusCommand(desk: Desk): Command {
  return new Command('status')
    .description('where the farm stands, and the first thing in its way: Farm, Store, VDisk, StreamingServer, server')
    .addOption(outputOption(['table', 'wide', 'json', 'yaml']))
    .addOption(watchOption())
    .addHelpText(
      'after',
      `
It ends with 0 when all is well, with ${EXIT.notRight} when something is not, with ${EXIT.noAnswer} when nobody answers.

Example:
  bootfarm status --farm bootfarm-demo/farm >/dev/null || echo "look at the farm"`,
    )
    .action((options: { output: 'table' | 'wide' | 'json' | 'yaml'; watch?: true }, self: Command) =>
      withFarm(desk, self, async (farm) => {
        const { terminal } = desk;
        const { output, watch = false } = options;
        const look = async () => {
          const status = await read(farm);
          const { isHealthy } = status;
          const how = { width: terminal.columns, isWide: output === 'wide' };
          const isData = output === 'json' || output === 'yaml';
          const text = isData ? dataText(status, output, watch) : statusText(status, how);
          return { text, note: '', news: JSON.stringify(status), isHealthy };
        };
        const { isHealthy } = await watched(terminal, look, {
          isWatched: watch,
          everyMs: desk.watchMs,
          left: desk.left,
        });
        if (!isHealthy) terminal.fail(EXIT.notRight);
      }),
    );
}

/** One after the other, on one connection: each way into the cluster costs more than these questions. */
async function read(farm: DeskFarm): Promise<FarmStatus> {
  const { value: seen } = await farm.get<FarmAnswer>();
  const { items: stores } = await farm.list<StoreAnswer>(['stores']);
  const { items: vdisks } = await farm.list<VDiskAnswer>(['vdisks']);
  const { items: pools } = await farm.list<PoolAnswer>(['pools']);
  const { items: servers } = await farm.list<ServerAnswer>(['servers']);
  return statusOf({ farm: seen, stores, vdisks, pools, servers });
}
