/** `bootfarm server`: one streaming server on one node. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { readConfig } from '../server/config.ts';
import { guardProcess } from '../server/guard.ts';
import { createLogger } from '../telemetry/log.ts';
import { gatherLittle } from './heap.ts';

/** What a hung store keeps open ends with the process; the operator gives 15 s beyond the drain. */
const CLOSE_MS = 5_000;

export function serverCommand(): Command {
  return new Command('server')
    .description('run a streaming server: ProxyDHCP, TFTP, HTTP boot and the block stream of one node')
    .requiredOption('--config <file>', 'JSON file that the operator writes: names, ports, folders')
    .action(({ config: path }: { config: string }) => run(path));
}

/** What the structures of the native calls are written for (stream/native, dhcp/socket). */
const ARCHITECTURES = ['x64', 'arm64'];

/** Why a server cannot run on a machine like this; said before anything native is loaded, which would end the process without a word. */
export const unfit = (platform: string, architecture: string): string | undefined =>
  platform === 'linux' && ARCHITECTURES.includes(architecture)
    ? undefined
    : `it runs on Linux on ${ARCHITECTURES.join(' or ')}, and this machine is ${platform} on ${architecture}: choose other nodes by spec.placement`;

async function run(path: string): Promise<void> {
  gatherLittle();
  const reason = unfit(process.platform, process.arch);
  if (reason !== undefined) return stop(reason);
  const config = readConfig(path);
  if (!config.ok) return stop(config.error.message);
  const log = createLogger(config.value.logLevel, { server: config.value.name });
  guardProcess(log);
  const { startServer } = await import('../server/server.ts');
  const started = await startServer(config.value, log);
  if (!started.ok) return stop(started.error.message);
  const leave = async (): Promise<void> => {
    process.off('SIGTERM', leave).off('SIGINT', leave);
    await started.value.drain();
    await Promise.race([started.value.close(), delay(CLOSE_MS)]);
    process.exit(0);
  };
  process.on('SIGTERM', leave).on('SIGINT', leave);
}

function stop(message: string): void {
  process.stderr.write(`bootfarm server: ${message}\n`);
  process.exitCode = 1;
}
