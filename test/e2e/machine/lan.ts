/** A bridge with a plain DHCP server, which knows nothing of booting, and places for servers: README.md. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addNamespace, deleteNamespace } from '../../setup/namespaces.ts';
import { inNamespace, run } from './run.ts';

export interface Place {
  readonly namespace: string;
  readonly address: string;
  /** The cable: nothing comes through any more, and nobody is told. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export interface Lan {
  readonly namespace: string;
  readonly bridge: string;
  readonly places: readonly Place[];
  close(): Promise<void>;
}

/** `name`: at most 8 letters. Places get 10.77.0.11, .12, …; machines an address from .100 on. */
export async function openLan(name: string, placeCount: number): Promise<Lan> {
  const folder = mkdtempSync(join(tmpdir(), `bootfarm-${name}-`));
  const bridge = 'br0';
  const ip = (...args: string[]): Promise<string> => run('ip', '-n', name, ...args);
  const left = (await run('ip', 'netns', 'list')).split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const namespace of left.filter((other) => other === name || other.startsWith(`${name}-`)))
    deleteNamespace(namespace); /* of a run that was killed: its processes ended with it */
  addNamespace(name);
  await ip('link', 'set', 'lo', 'up');
  await ip('link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0');
  await ip('address', 'add', '10.77.0.1/24', 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
  const places: Place[] = [];
  for (let index = 1; index <= placeCount; index++) {
    const namespace = `${name}-${index}`;
    const cable = `place${index}`;
    const address = `10.77.0.${10 + index}`;
    addNamespace(namespace);
    await ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await ip('link', 'set', cable, 'master', bridge, 'up');
    await run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
    await run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    await run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    /* Taken off the bridge, not set down: a cable that is cut far away is not seen at either end. */
    const cut = async (): Promise<void> => void (await ip('link', 'set', cable, 'nomaster'));
    const mend = async (): Promise<void> => void (await ip('link', 'set', cable, 'master', bridge));
    places.push({ namespace, address, cut, mend });
  }
  const [command, ...enter] = inNamespace(name);
  const dnsmasq = spawn(
    command,
    [
      ...[...enter, 'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0'],
      ...[`--interface=${bridge}`, '--bind-interfaces', '--dhcp-range=10.77.0.100,10.77.0.200,1h', '--no-ping'],
      ...[`--dhcp-leasefile=${join(folder, 'leases')}`, '--pid-file=', '--user=root', '--log-facility=/dev/null'],
    ],
    { stdio: 'ignore' },
  );
  await once(dnsmasq, 'spawn');
  return {
    namespace: name,
    bridge,
    places,
    close: async () => {
      const ended = dnsmasq.exitCode !== null || dnsmasq.signalCode !== null ? undefined : once(dnsmasq, 'exit');
      dnsmasq.kill('SIGKILL');
      await ended;
      for (const place of places) deleteNamespace(place.namespace);
      deleteNamespace(name);
      rmSync(folder, { recursive: true });
    },
  };
}
