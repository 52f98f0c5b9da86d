import { readFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { fakeDesk } from '../../test/fakes/desk.ts';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { vdiskCommand } from '../commands/vdisk.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { Place } from './place.ts';
import { makeProgram } from './program.ts';
import { PASSED } from './words/work.ts';

/** Where it would have asked, what it said, and how it ended. */
async function run(...args: readonly string[]) {
  const { said, terminal } = fakeTerminal();
  const places: Place[] = [];
  const wayTo = async (place: Place): Promise<never> => {
    places.push(place);
    throw new Refusal('nobody is there', 5);
  };
  const input = {
    readAll: async () => '',
    file: (path: string) => readFile(path, 'utf8'),
    bytes: async function* () {},
  };
  const program = makeProgram(fakeDesk({ terminal, wayTo, input }), '1.2.3');
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
      ['device', 'add', 'pc1', '--mac', '52:54:00:00:00:01', '--collection', 'c', '--kubeconfig', 'k'],
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
    [['vdisk', 'info', '/srv/lab.raw', '--release', 'prod'], { kind: 'cluster', release: { name: 'prod' } }],
    // Of the VDisk that it writes.
    [['vdisk', 'takeover', '/srv/lab', '--farm', 'Not a name'], { kind: 'cluster' }],
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
    // What is wrong at this end needs no cluster.
    [['vdisk', 'promote', 'lab', 'x'], 'version x: it must be a number from 0 to 999999'],
    [['vdisk', 'promote', 'a/b/c', '1'], 'vDisk a/b/c: it must look like NAME or NAMESPACE/NAME'],
    [['vdisk', 'promote', 'lab', '1', '--release-at', 'tomorrow'], '--release-at tomorrow: write it as'],
    [['vdisk', 'accept', 'lab', 'x', '--server', 'a'], 'version x: it must be'],
    [['rollback', '--all', '--for', '12'], '--for 12: write it as 4h'],
    [['vdisk', 'upload', '/nowhere/lab.raw', '/srv/lab.raw'], '/nowhere/lab.raw cannot be read: ENOENT'],
    [['vdisk', 'upload', '/dev/zero', '/srv/lab.raw'], '/dev/zero is a device or a pipe'],
    [['vdisk', 'upload', '/tmp', '/srv/lab.raw'], '/tmp is a folder'],
    [['vdisk', 'upload', '', '/srv/lab.raw'], "'' cannot be read"],
    [['vdisk', 'download', '/srv/lab', 'x.raw', '--format', 'moon'], 'Allowed choices are asis, raw, vhd, vhdx'],
    [['vdisk', 'download', '/srv/lab', 'x.raw', '--version', 'x'], '--version x: it must be a number'],
    [['vdisk', 'download', '/srv/lab', '/nowhere/x.raw'], '/nowhere/x.raw cannot be written: ENOENT'],
    [['vdisk', 'download', '/srv/lab', '/tmp'], '/tmp is a folder: name the file in it, as /tmp/lab.raw'],
    [['vdisk', 'download', '/srv/lab', ''], "'' is no name of a file"],
    [['vdisk', 'download', '/srv/lab', '/dev/null'], '/dev/null is there already, and is not written over'],
    [['vdisk', 'info', 'lab.raw', '--farm', 'a/b/c'], '--farm a/b/c: it must look like NAME or NAMESPACE/NAME'],
    [['status', '--farm', 'a/b', '-n', 'c'], 'are two namespaces: say one'],
    [['audit', '--limit', '0'], '--limit 0: it must be a number from 1'],
    [['console', '--port', '70000'], '--port 70000: it must be a number from 1 to 65535'],
    [['device', 'set', 'pc1'], 'say what is to change'],
    [['device', 'replace-nic', 'pc1', 'x'], 'MAC x: a MAC is six bytes in hex'],
    [['device', 'add', 'pc1', '--mac', 'x', '--collection', 'c'], 'mac "x": a MAC is six bytes'],
    [['device', 'import', '/nowhere.csv'], 'cannot read /nowhere.csv'],
    [['device', 'unknown', '--name', 'pc1'], '--name and --collection are of --add MAC'],
    [['keys', 'rotate', '--farm', 'lab/farm'], 'kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm keys --help'],
  ])('%j ends with 1, and asks nobody', async (args, says) => {
    expect(await run(...args)).toMatchObject({ places: [], exit: 1, out: '', err: expect.stringContaining(says) });
  });

  test.each(Object.entries(PASSED))(
    'vdisk %s --help says without a cluster what it is',
    async (word, { takes, is, own = [] }) => {
      const server = vdiskCommand(fakeTerminal().terminal).commands.find((command) => command.name() === word);
      expect(takes).toBe(server?.usage().replace('[options] ', ''));
      const names = makeProgram(fakeDesk({}), '0').options.map((option) => option.name());
      const both = names.filter(
        (name) => name !== 'version' && server?.options.some((option) => option.name() === name),
      );
      expect(both.sort()).toEqual(own);
      const said = await run('vdisk', word, '--help');
      expect(said).toMatchObject({ exit: 0, err: '', places: [] });
      for (const part of [takes, is, `\`bootfarm vdisk ${word} --on SERVER --help\``]) expect(said.out).toContain(part);
      expect(await run('vdisk', word, '--help', '--on', 'node-a')).toMatchObject({ exit: 5 });
    },
  );

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
