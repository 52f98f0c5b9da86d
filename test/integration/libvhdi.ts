/** libvhdi (Debian's libvhdi1), another reader of VHD and VHDX, by its C library: what it takes an image for, over the images that it is a difference of. */
import koffi from 'koffi';

const LIBRARY = 'libvhdi.so.1';
const OPEN_READ = 1;
const TYPES: ReadonlyMap<number, string> = new Map([
  [2, 'fixed'],
  [3, 'dynamic'],
  [4, 'differencing'],
]);

export interface Judged {
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  readonly subformat: string | undefined;
  /** 32 hex digits, as it writes a GUID. */
  readonly id: string;
  readonly parentId?: string;
  /** All of the disk. */
  readonly content: Buffer;
}

type Call = (...args: readonly unknown[]) => number;

/** `paths`: the image first, then what it is a difference of, in turn. */
export function judgedBy(paths: readonly string[]): Judged {
  const library = koffi.load(LIBRARY);
  const call = (name: string, args: string): Call => {
    const fn = library.func(`int libvhdi_file_${name}(${args}, void *error)`);
    return (...values) => {
      const answer: number = fn(...values, null);
      if (answer < 0) throw new Error(`libvhdi: ${name} of ${paths[0]}`);
      return answer;
    };
  };
  const initialize = call('initialize', '_Inout_ void **file');
  const open = call('open', 'void *file, const char *path, int flags');
  const free = call('free', '_Inout_ void **file');
  const opened = paths.map((path) => {
    const file: [unknown] = [null];
    initialize(file);
    open(file[0], path, OPEN_READ);
    return file;
  });
  const setParent = call('set_parent_file', 'void *file, void *parent');
  for (const [index, file] of [...opened.entries()].reverse())
    if (opened[index + 1]) setParent(file[0], opened[index + 1]?.[0]);
  const [first] = opened;
  const number = (name: string, type: string): number => {
    const value = [0];
    call(name, `void *file, _Out_ ${type} *value`)(first?.[0], value);
    return value[0] ?? 0;
  };
  const guid = (name: string): string | undefined => {
    const bytes = Buffer.alloc(16);
    const there = call(name, 'void *file, void *guid, size_t bytes')(first?.[0], bytes, bytes.length);
    return there === 1 ? bytes.toString('hex') : undefined;
  };
  const sizeBytes = number('get_media_size', 'uint64_t');
  const content = Buffer.alloc(sizeBytes);
  const read = library.func('intptr_t libvhdi_file_read_buffer_at_offset(void *, void *, size_t, int64_t, void *)');
  for (let at = 0; at < sizeBytes; ) {
    const bytes: number = read(first?.[0], content.subarray(at), Math.min(1 << 20, sizeBytes - at), at, null);
    if (bytes <= 0) throw new Error(`libvhdi: read of ${paths[0]} at ${at}`);
    at += bytes;
  }
  const parentId = guid('get_parent_identifier');
  const judged = {
    ...{ sizeBytes, content, id: guid('get_identifier') ?? '' },
    sectorBytes: number('get_bytes_per_sector', 'uint32_t'),
    subformat: TYPES.get(number('get_disk_type', 'uint32_t')),
    ...(parentId === undefined ? {} : { parentId }),
  };
  for (const file of opened) free(file);
  return judged;
}
