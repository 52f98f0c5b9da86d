import { expect, test } from '@jest/globals';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { deviceCommand } from './device.ts';

test.each([
  { args: ['add', 'pc1', '--mac', '52:54:00:00:00:zz', '--collection', 'a'], says: 'mac "52:54:00:00:00:zz"' },
  { args: ['import', '/nowhere/machines.csv'], says: 'cannot read /nowhere/machines.csv' },
])('$args is refused before a database is looked for', async ({ args, says }) => {
  const { said, terminal } = fakeTerminal();
  await deviceCommand(terminal).parseAsync(args, { from: 'user' });
  expect(said).toMatchObject({ failed: true, err: expect.stringContaining(says) });
});
