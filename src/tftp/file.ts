/** The file that a request names, in the mode that it wants. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { MAX_NETASCII_BYTES } from './limits.ts';
import { netascii } from './netascii.ts';
import type { ReadRequest } from './packet.ts';
import type { TftpFile } from './transfer.ts';

type Open = (name: string) => Promise<Result<TftpFile, Fault>> | Result<TftpFile, Fault>;

/**
 * What a name means where the client does not send it as DHCP gave it. ROMs read option 67 as a C string and ask for what is behind it, too (0xff, the
 * end of the options); others put the root of a path before it, or change its case. Names of boot files are in lower case.
 */
const plainName = (name: string): string =>
  name
    .replace(/[^\x20-\x7e].*$/s, '')
    .replace(/^[/\\]+/, '')
    .toLowerCase();

/** `onMended`: it is served by another name than it was asked by. */
export async function fileFor(
  { name, mode }: ReadRequest,
  open: Open,
  onMended: (known: string) => void,
): Promise<Result<TftpFile, Fault>> {
  const opened = await named(name, open, onMended);
  if (!opened.ok || mode === 'octet') return opened;
  const { value: file } = opened;
  try {
    if (file.sizeBytes > MAX_NETASCII_BYTES)
      return fail('NetasciiTooLong', `${name} has ${file.sizeBytes} bytes: ask in mode octet`);
    const text = await textOf(file);
    return ok({ sizeBytes: text.length, read: (offset, length) => text.subarray(offset, offset + length) });
  } finally {
    file.close?.();
  }
}

async function named(name: string, open: Open, onMended: (known: string) => void): Promise<Result<TftpFile, Fault>> {
  const asSent = await open(name);
  const plain = plainName(name);
  if (asSent.ok || plain === name || plain === '') return asSent;
  const mended = await open(plain);
  if (!mended.ok) return asSent;
  onMended(plain);
  return mended;
}

/** Made once and shared: a copy a request would let whoever asks take the thread, and some hundred KiB of memory for each transfer. */
const texts = new WeakMap<TftpFile, Promise<Uint8Array>>();

function textOf(file: TftpFile): Promise<Uint8Array> {
  const made = texts.get(file) ?? (async () => netascii(await file.read(0, file.sizeBytes)))();
  texts.set(file, made);
  made.catch(() => texts.delete(file)); // what could not be read is read again
  return made;
}
