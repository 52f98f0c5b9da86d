/** The boot records of a server as a file in its state directory, a line each: what was heard lives through a restart. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';
import { type BootRecord, isBootRecord } from '../farm/bootrecord.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { replaceFile } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export const bootsFile = (stateDirectory: string): string => join(stateDirectory, 'boots.jsonl');

const HEAD = '{"bootRecords":1}';
/** Twice what the limits of `farm/bootring.ts` come to: a larger one is not ours. */
const MAX_BYTES = 48 << 20;
/** Between two turns of the event loop: half a millisecond of work. */
const AT_ONCE = 64;

/** Nothing else of the server waits while they are written. Rejects when the disk says no: then the file is as before. */
export async function writeBoots(path: string, records: Iterable<BootRecord>): Promise<void> {
  const parts: Buffer[] = [];
  let lines = `${HEAD}\n`;
  let count = 0;
  for (const record of records) {
    lines += `${JSON.stringify(record)}\n`;
    if (++count % AT_ONCE > 0) continue;
    parts.push(Buffer.from(lines));
    lines = '';
    await turn();
  }
  await replaceFile(path, Buffer.concat([...parts, Buffer.from(lines)]), 0o600);
}

/** All or nothing: of a file that somebody else wrote into, no line is worth more than another. Empty where there is none. */
export async function readBoots(path: string): Promise<Result<readonly BootRecord[], Fault<'BootsUnreadable'>>> {
  const broken = (why: string): Result<never, Fault<'BootsUnreadable'>> =>
    fail('BootsUnreadable', `${path}: ${why}: the boots of machines are told from now on alone`);
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) return broken(`${size} bytes, more than ${MAX_BYTES}`);
    const records: BootRecord[] = [];
    let line = 0;
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      line += 1;
      if (line === 1 && text !== HEAD) return broken('its first line is none of ours');
      if (line === 1) continue;
      const record: unknown = JSON.parse(text);
      if (!isBootRecord(record)) return broken(`line ${line} is no boot record`);
      records.push(record);
    }
    return line === 0 ? broken('it is empty') : ok(records);
  } catch (thrown) {
    return errorCode(thrown) === 'ENOENT' ? ok([]) : broken(errorMessage(thrown));
  }
}
