/** The `.pvp` of a version as a look sees it: read once, and again when it changed. It is small, so its digest waits for no other. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { PropertiesFacts } from '../farm/properties.ts';
import { sameFile } from '../image/identity.ts';
import { errorMessage } from '../kit/errors.ts';
import { openRegular } from '../kit/file.ts';
import { decodeProperties, PROPERTIES_BYTES } from './pvs/properties.ts';

export interface SeenProperties {
  readonly identity: string;
  readonly properties: PropertiesFacts;
}

/** Of one that PVS writes it is twice the size. */
export const MAX_PROPERTIES_BYTES = 2 * PROPERTIES_BYTES;

export const isProperties = (name: string): boolean => name.endsWith('.pvp');

/** `seen`: by path; the caller's, who looks again and again. */
export async function propertiesOf(
  path: string,
  { identity, sizeBytes }: { readonly identity: string; readonly sizeBytes: number },
  seen: Map<string, SeenProperties>,
): Promise<PropertiesFacts> {
  const before = seen.get(path);
  if (before && sameFile(before.identity, identity)) return before.properties;
  const properties = { name: basename(path), ...(await read(path, sizeBytes)) };
  if (properties.sha256 === undefined) seen.delete(path);
  else seen.set(path, { identity, properties });
  return properties;
}

async function read(path: string, sizeBytes: number): Promise<Omit<PropertiesFacts, 'name'>> {
  if (sizeBytes > MAX_PROPERTIES_BYTES) return { message: `it has ${sizeBytes} bytes, and a .pvp ${PROPERTIES_BYTES}` };
  const opened = await openRegular(path);
  if (!opened.ok) return { message: opened.error.message };
  const { file } = opened.value;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, 0);
    const bytes = buffer.subarray(0, bytesRead);
    const decoded = decodeProperties(bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { sha256, ...(decoded.ok ? { changes: decoded.value.version } : {}) };
  } catch (thrown) {
    return { message: errorMessage(thrown) };
  } finally {
    await file.close();
  }
}
