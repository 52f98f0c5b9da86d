/** The one entry point: reads the role, runs it. */
import { Command } from 'commander';

const program = new Command('bootfarm').description('Streams operating systems to diskless machines from a farm of servers.');

await program.parseAsync();
