/** Three servers of one vDisk on a bridge, each in a namespace with a cable of its own, whose packets can be dropped on either side of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Lan, openLan, type Place } from '../../e2e/machine/lan.ts';
import { inNamespace, run } from '../../e2e/machine/run.ts';

const PORT = 6_910;
const SERVE = join(import.meta.dirname, '../../fakes/serve.ts');

export class Server {
  readonly name: string;
  readonly #lan: Lan;
  readonly #place: Place;
  /** The bridge's end of its cable. */
  readonly #cable: string;
  #child: ChildProcess | undefined;

  constructor(lan: Lan, place: Place, cable: string) {
    this.#lan = lan;
    this.#place = place;
    this.#cable = cable;
    this.name = `${place.address}:${PORT}`;
  }

  async start(file: string, content: string, list: readonly string[]): Promise<void> {
    // Not by nsenter: the MTU of a card is read from the /sys of its namespace.
    const [command, ...enter] = [...inNamespace(), 'ip', 'netns', 'exec', this.#place.namespace];
    const where = ['--address', this.#place.address, '--port', String(PORT), '--list', list.join(',')];
    const what = ['--file', file, '--content', content, '--mode', 'authenticated', '--native', 'native', '--quiet'];
    const child = spawn(command, [...enter, process.execPath, SERVE, ...where, ...what], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    await once(createInterface({ input: child.stdout }), 'line');
  }

  get runs(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    if (!this.#child || !this.runs) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Its network card has no carrier any more, or has it again. */
  async link(state: 'up' | 'down'): Promise<void> {
    await run('ip', '-n', this.#lan.namespace, 'link', 'set', this.#cable, state);
  }

  /** What it sends is cut to packets before the cable, so that each is lost by itself. */
  async cutPackets(): Promise<void> {
    await run(
      'ip',
      'netns',
      'exec',
      this.#place.namespace,
      'ethtool',
      '-K',
      'eth0',
      'tx-udp-segmentation',
      'off',
      'gso',
      'off',
    );
  }

  /** Drops of its packets on their way out those that fit the rule of nft. */
  dropSent(rule: string): Promise<unknown> {
    const chain = `chain way { type filter hook ingress device "${this.#cable}" priority 0; udp sport ${PORT} ${rule} drop; }`;
    return this.#nft(this.#lan.namespace, `table netdev ${this.#cable} {\n${chain}\n}`);
  }

  /** The same of those that come to it. */
  dropReceived(rule: string): Promise<unknown> {
    const chain = `chain way { type filter hook input priority 0; udp dport ${PORT} ${rule} drop; }`;
    return this.#nft(this.#place.namespace, `table ip way {\n${chain}\n}`);
  }

  async dropNothing(): Promise<void> {
    await this.#nft(this.#lan.namespace, 'flush ruleset');
    await this.#nft(this.#place.namespace, 'flush ruleset');
  }

  #nft(namespace: string, ruleset: string): Promise<string> {
    const [command, ...enter] = inNamespace(namespace);
    return run(command, ...enter, 'nft', ruleset);
  }
}

export interface Site {
  readonly namespace: string;
  readonly servers: readonly [Server, Server, Server];
  close(): Promise<void>;
}

export async function openSite(): Promise<Site> {
  const lan = await openLan('bffail', 3);
  const [one, two, three] = lan.places.map((place, index) => new Server(lan, place, `place${index + 1}`));
  if (!one || !two || !three) throw new Error('the LAN has three places');
  const servers = [one, two, three] as const;
  for (const server of servers) await server.cutPackets();
  return {
    namespace: lan.namespace,
    servers,
    close: async () => {
      for (const server of servers) await server.kill();
      await lan.close();
    },
  };
}
