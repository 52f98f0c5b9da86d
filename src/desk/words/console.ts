/** `bootfarm console`: the web console in a browser, by the identity of the kubeconfig, through a port of this machine alone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Command } from 'commander';
import { attempt, Refusal } from '../../terminal/refusal.ts';
import type { Api } from '../api.ts';
import { type Desk, withApi } from '../desk.ts';

interface Options {
  readonly open: boolean;
  readonly port: string;
  readonly plainAddress?: boolean;
}

export function consoleCommand(desk: Desk): Command {
  return new Command('console')
    .description('the console in your browser, by your own identity, until interrupted')
    .option('--no-open', 'print its address, and open no browser')
    .option('--port <number>', 'the port of this machine', '0')
    .option(
      '--plain-address',
      '127.0.0.1 in place of a name of its own, for a browser that knows no names below localhost',
    )
    .addHelpText(
      'after',
      `
The address lets one browser in, once. Other pages, and other people on this machine, are refused.`,
    )
    .action((options: Options, self: Command) =>
      attempt(desk.terminal, async () => {
        const port = portOf(options.port);
        await withApi(desk, self, (api) => serve(desk, api, port, options));
      }),
    );
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new Refusal(`--port ${text}: it must be a number from 1 to 65535, or 0: any`);
}

async function serve(desk: Desk, api: Api, port: number, { plainAddress = false, open }: Options): Promise<void> {
  const { terminal } = desk;
  // Whether it answers at all, and who asks is known, is said here, and not in a browser.
  await api.get('/openapi.json');
  const { startProxy } = await import('../console/proxy.ts');
  const proxy = await startProxy(api, { port, isPlain: plainAddress, tell: (text) => terminal.err(text) });
  try {
    terminal.out(`${proxy.address}\n`);
    terminal.err('open it within one browser; Ctrl-C ends it\n');
    if (open && terminal.isWatched) desk.browse(proxy.address);
    const left = desk.left();
    if (!left.aborted) await once(left, 'abort');
  } finally {
    await proxy.close();
  }
}

/** What opens an address in the browser of whoever is logged in; nothing where there is no screen. */
function opener(): readonly [command: string, ...args: string[]] | undefined {
  if (process.platform === 'darwin') return ['open'];
  if (process.platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler'];
  const { DISPLAY, WAYLAND_DISPLAY } = process.env;
  return DISPLAY || WAYLAND_DISPLAY ? ['xdg-open'] : undefined;
}

/** The address stands on the terminal as well: who has no browser here opens it elsewhere. */
export function browse(address: string): void {
  const [command, ...args] = opener() ?? [];
  if (command === undefined) return;
  spawn(command, [...args, address], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}
