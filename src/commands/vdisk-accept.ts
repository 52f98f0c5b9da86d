/** `bootfarm vdisk accept`: of servers that hold different files of a version, one is right. Thin over `farm/accept.ts`. */
import type { Command } from 'commander';
import { judgeAccept } from '../farm/accept.ts';
import { attempt, must, Refusal, versionNumber } from '../terminal/refusal.ts';
import { acceptedText, acceptWord } from '../terminal/release-words.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { databaseOptions } from './database-options.ts';

export function addAccept(command: Command, terminal: Terminal): void {
  const accept = databaseOptions(
    acceptWord(command, 'bootfarm vdisk accept lab 3 --server node-a --farm bootfarm-demo/farm'),
  );
  accept.action((vdisk: string, typed: string, { server }: { server: string }) =>
    attempt(terminal, async () => {
      const number = versionNumber('version', typed);
      // The clients of the database are loaded where they are needed alone.
      const { actor, refuseInServer, withDatabase } = await import('./database-access.ts');
      const { acceptContent, copiesOf } = await import('../database/copies.ts');
      const { snapshot } = await import('../database/project.ts');
      refuseInServer(accept, 'what is right of a version');
      await withDatabase(accept, async (database) => {
        const farm = must(await snapshot(database));
        if (!farm) throw new Refusal('the database holds no farm yet');
        const what = `version ${number} of ${vdisk}`;
        const asked = { vdisk, number, server };
        const content = must(judgeAccept(farm, must(await copiesOf(database, vdisk)), asked));
        const done = content === 'Unchanged' ? content : must(await acceptContent(database, asked, content, actor()));
        if (done === 'NoVersion') throw new Refusal(`VDisk ${vdisk} has no version ${number} any more`);
        if (typeof done === 'object')
          throw new Refusal(`${what}: somebody was faster, and the manifest ${done.right} is right now`);
        const isUnchanged = content === 'Unchanged' || done === 'Unchanged';
        terminal.out(acceptedText({ vdisk, version: number, server, content: isUnchanged ? undefined : content }));
      });
    }),
  );
}
