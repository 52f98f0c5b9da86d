/** One file as a cpio archive in the `newc` format, which the kernel unpacks as one more initramfs (Linux Documentation: buffer-format). */

/** Magic, inode, mode, uid, gid, nlink, mtime, size, dev major and minor, rdev major and minor, name size, check: 8 hex digits each. */
function entry(name: string, mode: number, data: Uint8Array): Buffer {
  const fields = [0, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return Buffer.concat([padded(Buffer.from(header, 'latin1')), padded(data)]);
}

/** To a multiple of 4 bytes. */
const padded = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/** `path` is relative, its folders are made. Files are readable by root alone: what is in them is secret. */
export function cpio(path: string, data: Uint8Array): Buffer {
  const folders = path.split('/').slice(0, -1);
  const entries = folders.map((_, depth) => entry(folders.slice(0, depth + 1).join('/'), 0o040700, Buffer.alloc(0)));
  return Buffer.concat([...entries, entry(path, 0o100600, data), entry('TRAILER!!!', 0, Buffer.alloc(0))]);
}
