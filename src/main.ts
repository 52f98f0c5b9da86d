#!/usr/bin/env node
/** The one entry point: the first argument is the role, or a command. Only what that needs is loaded: a server has no Kubernetes client in its memory. */
import { Command } from 'commander';

const COMMANDS = {
  operator: async () => (await import('./roles/operator.ts')).operatorCommand(),
  server: async () => (await import('./roles/server.ts')).serverCommand(),
  work: async () => (await import('./roles/work.ts')).workCommand(),
  mount: async () => (await import('./roles/mount.ts')).mountCommand(),
  keys: async () => (await import('./commands/keys.ts')).keysCommand(),
  vdisk: async () => (await import('./commands/vdisk.ts')).vdiskCommand(),
  replication: async () => (await import('./commands/replication.ts')).replicationCommand(),
  report: async () => (await import('./commands/report.ts')).reportCommand(),
  rollback: async () => (await import('./commands/rollback.ts')).rollbackCommand(),
  device: async () => (await import('./commands/device.ts')).deviceCommand(),
};

/** Of the package that people have (`desk/`): they ask the API, and here is none. */
const AT_A_DESK: readonly string[] = ['status', 'session', 'audit', 'console', 'completion'];

const program = new Command('bootfarm')
  .description('Streams operating systems to diskless machines from a farm of servers.')
  .showHelpAfterError();
const [, , first = ''] = process.argv;
if (AT_A_DESK.includes(first))
  program.showHelpAfterError(false).error(`error: ${first} is a word of the bootfarm at your desk: see docs/desk.md`);
const named = Object.entries(COMMANDS).filter(([name]) => name === first);
// Help, or a word that is none: all are told.
for (const [, load] of named.length > 0 ? named : Object.entries(COMMANDS)) program.addCommand(await load());

await program.parseAsync();
