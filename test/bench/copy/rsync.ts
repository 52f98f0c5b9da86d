/** rsync over its own daemon, which is plain TCP: no TLS, and no fsync. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const MODES = {
  'rsync --whole-file': ['--whole-file'],
  'rsync --inplace': ['--inplace', '--no-whole-file'],
  rsync: ['--no-whole-file'],
} as const;

export interface Daemon {
  /** Seconds until it ended. */
  fetch(name: string, to: string, options: readonly string[]): Promise<number>;
  stop(): Promise<void>;
}

/** Gives the files of a folder. */
export async function startDaemon(folder: string, port: number): Promise<Daemon> {
  const config = join(folder, 'rsyncd.conf');
  writeFileSync(
    config,
    `use chroot = no\naddress = 127.0.0.1\nport = ${port}\nuid = 0\ngid = 0\n[files]\npath = ${folder}\n`,
  );
  const daemon = spawn('rsync', ['--daemon', '--no-detach', `--config=${config}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  while (daemon.exitCode === null && !(await answers(port))) await delay(20);
  return {
    async fetch(name, to, options) {
      const began = performance.now();
      const args = ['--ignore-times', ...options, `rsync://127.0.0.1:${port}/files/${name}`, to];
      const [code] = await once(spawn('rsync', args, { stdio: ['ignore', 'ignore', 'inherit'] }), 'exit');
      if (code !== 0) throw new Error(`rsync ${args.join(' ')} ended with ${code}`);
      return (performance.now() - began) / 1_000;
    },
    async stop() {
      if (daemon.exitCode !== null) return;
      const exited = once(daemon, 'exit');
      daemon.kill();
      await exited;
    },
  };
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
