import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { fakeDesk } from '../../test/fakes/desk.ts';
import { completionText, placesOf } from './completion.ts';
import { makeProgram } from './program.ts';

const program = makeProgram(fakeDesk({}), '0');

describe('completion', () => {
  test('each word and its options are a place', () => {
    const places = placesOf(program);
    const at = (path: string) => places.find((place) => place.path === path);
    expect(at('')?.words.map(({ name }) => name)).toEqual(expect.arrayContaining(['status', 'device', 'completion']));
    expect(at('device add')?.options.map(({ long }) => long)).toEqual(expect.arrayContaining(['--mac', '--farm']));
    expect(at('completion')?.choices).toEqual(['bash', 'zsh', 'fish']);
    expect(at('')?.options.map(({ long }) => long)).not.toContain('--direct');
    expect(at('keys')).toBeUndefined();
  });

  const bash = (line: readonly string[]): string[] => {
    const words = line.map((word) => `'${word}'`).join(' ');
    const script = `${completionText('bash', program)}\nCOMP_WORDS=(${words}); COMP_CWORD=${line.length - 1}; _bootfarm; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
  };

  test.each<[readonly string[], readonly string[]]>([
    [['bootfarm', 'st'], ['status']],
    [
      ['bootfarm', 'device', 're'],
      ['remove', 'replace-nic'],
    ],
    [
      ['bootfarm', '--farm', 'lab/farm', 'device', 'ex'],
      ['export', 'explain'],
    ],
    [
      ['bootfarm', 'device', 'list', '-o', ''],
      ['table', 'wide', 'json', 'yaml', 'name'],
    ],
    [['bootfarm', 'device', 'set', 'pc0001', '--dis'], ['--disabled']],
    [['bootfarm', 'completion', 'z'], ['zsh']],
  ])('bash: %j', (line, offered) => {
    expect(bash(line)).toEqual(expect.arrayContaining([...offered]));
    expect(bash(line).every((word) => word.startsWith(line.at(-1) ?? ''))).toBe(true);
  });

  test('zsh runs that of bash, fish has a line a word and option', () => {
    expect(completionText('zsh', program)).toMatch(/^#compdef bootfarm[\s\S]*bashcompinit[\s\S]*_bootfarm/);
    expect(completionText('fish', program)).toMatch(
      /complete -c bootfarm -f -n '__bootfarm_at .*device.*' -a explain -d/,
    );
  });
});
