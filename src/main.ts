#!/usr/bin/env -S node --enable-source-maps
/** The one entry point: the first argument is the role. */
import { Command } from 'commander';
import { deviceCommand } from './roles/device.ts';
import { operatorCommand } from './roles/operator.ts';
import { serverCommand } from './roles/server.ts';

const program = new Command('bootfarm')
  .description('Streams operating systems to diskless machines from a farm of servers.')
  .showHelpAfterError()
  .addCommand(operatorCommand())
  .addCommand(serverCommand())
  .addCommand(deviceCommand());

await program.parseAsync();
