/** How long the name of a file may be that is made: what is written has a longer one until it is whole. Pure. */
import { basename } from 'node:path';
import { PARTIAL } from '../kit/file.ts';
import type { Fault } from '../kit/result.ts';

/** NAME_MAX of Linux, in bytes. */
const NAME_BYTES = 255;

/** `behind`: what its name has behind it meanwhile. Undefined: it has room. */
export function tooLong(path: string, behind: string = PARTIAL): Fault<'NotSupported'> | undefined {
  const name = basename(path);
  const [bytes, most] = [Buffer.byteLength(name), NAME_BYTES - Buffer.byteLength(behind)];
  if (bytes <= most) return undefined;
  return {
    code: 'NotSupported',
    message: `${name} has ${bytes} bytes, and a name that is made here has ${most} at most, for ${behind} stands behind it until it is whole: choose a shorter one`,
  };
}
