/**
 * A server of the release that this tree is, as far as it reads: asks for all it serves by, again and again until its input ends, then says
 * each answer that differed from the one before, as JSON, a line each. Argument: JSON of `ReaderOptions`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/database/connection.ts';
import { databaseData } from '../../src/database/data.ts';
import type { FarmData } from '../../src/farm/data.ts';
import { openReplica } from '../../src/replica/reader.ts';

/** The follower's socket, or the database. */
export type ReaderOptions = { readonly socketPath: string } | { readonly uri: string };

function open(options: ReaderOptions): FarmData {
  if ('socketPath' in options) return openReplica(options);
  const database = connect(options);
  if (!database.ok) throw new Error(database.error.message);
  return databaseData(database.value);
}

const data = open(JSON.parse(process.argv[2] ?? '') as ReaderOptions);
const answers: string[] = [];
let over = false;
process.stdin.resume().once('end', () => {
  over = true;
});
process.stdout.write('reads\n');
for (let last = false; !last; ) {
  last = over; // once more after the end
  const [snapshot, device, session] = [
    await data.snapshot(),
    await data.deviceByMac('52:54:00:00:00:01'),
    await data.sessionOf('pc0001'),
  ];
  const answer = JSON.stringify({ snapshot, device, session });
  if (answer !== answers.at(-1)) answers.push(answer);
  await delay(5);
}
process.stdout.write(`${answers.join('\n')}\n`, () => process.exit());
