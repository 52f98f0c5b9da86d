/** Servers of the copy bench as processes, on loopback or each in a network namespace with a card of a given speed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { addNamespace, removeNamespace } from '../../setup/namespaces.ts';
import type { NodeTask, PullReport } from './node.ts';

const SCRIPT = join(import.meta.dirname, 'node.ts');

export class Node {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines;
  }

  /** It listens. `enter`: put before its command. */
  static async start(task: NodeTask, enter: readonly string[] = []): Promise<Node> {
    const [command = '', ...args] = [...enter, process.execPath, SCRIPT, JSON.stringify(task)];
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`${task.name} ended`)));
    await Promise.race([once(lines, 'line'), ended]);
    ended.catch(() => undefined);
    return new Node(child, lines);
  }

  async pull(): Promise<PullReport> {
    const ended = once(this.#child, 'exit').then(() => Promise.reject(new Error('a server of the bench ended')));
    this.#child.stdin?.write('go\n');
    const [line]: string[] = await Promise.race([once(this.#lines, 'line'), ended]);
    ended.catch(() => undefined);
    return JSON.parse(line ?? '');
  }

  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exited;
  }
}

export interface Places {
  readonly places: readonly { readonly address: string; readonly enter: readonly string[] }[];
  close(): void;
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });

/** On one bridge; each sends and receives so much at most (tbf at both ends of its cable). */
export function limitedPlaces(count: number, megabits: number): Places {
  const bridge = `bfcopy-${process.pid}`;
  const names = Array.from({ length: count }, (_, at) => `${bridge}-${at}`);
  const close = () => {
    for (const name of [...names, bridge]) removeNamespace(name);
  };
  const limit = (namespace: string, card: string): void =>
    void execFileSync('tc', [
      ...['-n', namespace, 'qdisc', 'add', 'dev', card, 'root', 'tbf'],
      ...['rate', `${megabits}mbit`, 'burst', '256kb', 'latency', '50ms'],
    ]);
  try {
    addNamespace(bridge);
    ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    ip('-n', bridge, 'link', 'set', 'br0', 'up');
    const places = names.map((name, at) => {
      const address = `10.198.0.${at + 1}`;
      addNamespace(name);
      ip('-n', bridge, 'link', 'add', `c${at}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      ip('-n', bridge, 'link', 'set', `c${at}`, 'master', 'br0', 'up');
      ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0');
      ip('-n', name, 'link', 'set', 'eth0', 'up');
      ip('-n', name, 'link', 'set', 'lo', 'up');
      limit(name, 'eth0');
      limit(bridge, `c${at}`);
      return { address, enter: ['ip', 'netns', 'exec', name] };
    });
    return { places, close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}
