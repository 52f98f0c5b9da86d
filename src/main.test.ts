import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { fakeDesk } from '../test/fakes/desk.ts';
import { makeProgram } from './desk/program.ts';

const run = (word: string) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), word, '--help'], { encoding: 'utf8' });

test('each word of a desk is one here, or said to be of a desk', () => {
  for (const { word, ...said } of makeProgram(fakeDesk({}), '0').commands.map((command) => ({
    word: command.name(),
    ...run(command.name()),
  })))
    expect({
      word,
      isKnown: said.status === 0 || said.stderr.startsWith(`error: ${word} is a word of the bootfarm at your desk`),
    }).toEqual({ word, isKnown: true });
});
