import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { fakeDesk } from '../../test/fakes/desk.ts';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { Place } from './place.ts';
import { makeProgram } from './program.ts';

/** Where it would have asked, what it said, and how it ended. */
async function run(...args: readonly string[]) {
  const { said, terminal } = fakeTerminal();
  const places: Place[] = [];
  const wayTo = async (place: Place): Promise<never> => {
    places.push(place);
    throw new Refusal('nobody is there', 5);
  };
  const program = makeProgram(fakeDesk({ terminal, wayTo }), '1.2.3');
  const quiet = (command: Command): void => {
    command.exitOverride();
    for (const word of command.commands) quiet(word);
  };
  quiet(program);
  const exit = await program.parseAsync(args, { from: 'user' }).then(
    () => said.status,
    (thrown: { readonly exitCode: number }) => thrown.exitCode,
  );
  return { places, exit, ...said };
}

describe('what is typed', () => {
  test.each<[string[], Place]>([
    [['status'], { kind: 'cluster' }],
    [['--context', 'c', 'status'], { kind: 'cluster', context: 'c' }],
    // Behind the word as well: that is where one types what was forgotten.
    [['device', 'list', '--context', 'c', '-o', 'json'], { kind: 'cluster', context: 'c' }],
    [
      ['device', 'set', 'pc1', '--disabled', '--release', 'ops/prod'],
      { kind: 'cluster', release: { namespace: 'ops', name: 'prod' } },
    ],
    [
      ['device', 'add', 'pc1', '--mac', 'x', '--collection', 'c', '--kubeconfig', 'k'],
      { kind: 'cluster', kubeconfig: 'k' },
    ],
    [['replication', 'lab', '-w', '-n', 'lab'], { kind: 'cluster' }],
    // Options of the word, though the program has some of that name.
    [['session', 'list', '--server', 'node-a', '--context', 'c'], { kind: 'cluster', context: 'c' }],
    [['vdisk', 'accept', 'lab', '1', '--server', 'node-a'], { kind: 'cluster' }],
    [['rollback', '--vdisk', 'lab', '--version', '0'], { kind: 'cluster' }],
    [
      ['vdisk', 'merge', '/srv/vdisks/lab', '--base', '--on', 'node-a', '--context', 'c'],
      { kind: 'cluster', context: 'c' },
    ],
    [['--context', 'c', 'vdisk', 'accept', 'lab', '1', '--server', 'node-a'], { kind: 'cluster', context: 'c' }],
  ])('%j asks there', async (args, place) => {
    expect(await run(...args)).toMatchObject({ places: [place], exit: 5, err: 'error: nobody is there\n' });
  });

  test.each<[string[], string]>([
    [['moon'], "unknown command 'moon'"],
    [['device', 'moon'], "unknown command 'moon'"],
    [['device', 'list', '--moon'], "unknown option '--moon'"],
    [['device', 'list', '-o', 'moon'], 'Allowed choices are table, wide, json, yaml, name'],
    [['device', 'add', 'pc1', '--collection', 'c'], "required option '--mac <mac>' not specified"],
    [['device', 'set', 'pc1', '--enabled', '--disabled'], "option '--disabled' cannot be used with option '--enabled'"],
    [['completion', 'csh'], 'Allowed choices are bash, zsh, fish'],
    [
      ['device', 'list', '--direct'],
      'kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm device list --farm NAMESPACE/NAME',
    ],
    [
      ['vdisk', 'move', 'lab/win', '--to', 'fast'],
      'kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm vdisk move --help',
    ],
    [['keys', 'rotate', '--farm', 'lab/farm'], 'kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm keys --help'],
  ])('%j ends with 1, and asks nobody', async (args, says) => {
    expect(await run(...args)).toMatchObject({ places: [], exit: 1, out: '', err: expect.stringContaining(says) });
  });

  test('help and version are on standard output, with status 0', async () => {
    expect(await run('--version')).toMatchObject({ exit: 0, out: '1.2.3\n', err: '' });
    expect(await run('device', 'add', '--help')).toMatchObject({
      exit: 0,
      out: expect.stringContaining('--dry-run'),
      err: '',
    });
    expect((await run('--help')).out).not.toMatch(/\bkeys\b|--direct/);
  });
});
