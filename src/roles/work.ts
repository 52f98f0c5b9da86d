/** `bootfarm work`: the keeper of jobs of one server, in its pod's container `work`. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { createLogger, type Logger } from '../telemetry/log.ts';
import { JobFolder } from '../work/folder.ts';
import { Keeper } from '../work/keeper.ts';
import { Mirror } from '../work/mirror.ts';
import { readOrders } from '../work/orders.ts';
import { orderOf } from '../work/queue.ts';
import { startWorker } from '../work/runner.ts';

/** What it costs while nobody orders anything: a readdir. */
const LOOK_MS = 500;
/** The one before it ends, or a command looks whether there is one. */
const TAKE_TRIES = 20;
const TAKE_MS = 250;

export function workCommand(): Command {
  return new Command('work')
    .description('keep the jobs of a server: work on the files of its stores, in order and at low priority')
    .requiredOption('--folder <folder>', 'where jobs are kept, in the state directory of the pool')
    .option('--orders <file>', 'what the operator orders, in the Secret of the server')
    .option('--state <folder>', 'the state directory of the server: what it lacks is taken from other servers')
    .option('--tls <folder>', 'with --state: peer.crt and peer.key, by which other servers are asked, and ca.crt')
    .action(({ folder, ...options }: { folder: string } & Options) => run(folder, options));
}

interface Options {
  readonly orders?: string;
  readonly state?: string;
  readonly tls?: string;
}

async function run(path: string, options: Options): Promise<void> {
  const ordersFile = options.orders;
  const log = createLogger('info', { folder: path });
  const folder = new JobFolder(path);
  const held = await keepOf(folder);
  if (!held) {
    process.stderr.write(`bootfarm work: ${path} has a keeper already: end it first\n`);
    process.exitCode = 1;
    return;
  }
  const orders = ordersFile === undefined ? {} : { orders: () => readOrders(ordersFile) };
  const keeper = new Keeper({
    folder,
    start: (job, told) => startWorker(orderOf(job), told, path),
    now: Date.now,
    log,
    ...orders,
  });
  const mirror = await mirrorOf(path, options, log);
  const timer = setInterval(() => void mirror?.look(), LOOK_MS);
  const leave = async (): Promise<void> => {
    process.off('SIGTERM', leave).off('SIGINT', leave);
    clearInterval(timer);
    await Promise.all([keeper.stop(), mirror?.stop()]);
    // Held until here: a file that nobody names any more is closed, and its lock is gone.
    await held.close();
    process.exit(0);
  };
  process.on('SIGTERM', leave).on('SIGINT', leave);
  log.info({}, 'keeper of jobs started');
  await keeper.run(LOOK_MS);
}

/** Undefined: nobody says what is wanted. */
async function mirrorOf(folder: string, { state, tls }: Options, log: Logger): Promise<Mirror | undefined> {
  if (state === undefined || tls === undefined) return undefined;
  const mirror = new Mirror({ folder, stateDirectory: state, tlsDirectory: tls, start: startWorker, log });
  await mirror.takeUp();
  return mirror;
}

async function keepOf(folder: JobFolder): ReturnType<JobFolder['keep']> {
  for (let tries = 1; ; tries++) {
    const held = await folder.keep();
    if (held || tries === TAKE_TRIES) return held;
    await delay(TAKE_MS);
  }
}
