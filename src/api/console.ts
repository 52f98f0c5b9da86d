/** The console's files, for whoever asks: they hold nothing of a farm, and whom they are given to is known by each question that they ask then. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, sep } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress } from 'node:zlib';
import { errorCode } from '../kit/errors.ts';
import { pathOf } from './answer.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.md': 'text/markdown; charset=utf-8',
};

/**
 * Nothing but this origin, nothing that is written into the page, nobody around it, and no text becomes markup: of what somebody named a device, no line is ever
 * a script.
 */
const PAGE_POLICY = [
  "default-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "object-src 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');
/** An answer of the API that somebody opens as a page does nothing. */
const ANSWER_POLICY = "default-src 'none'; frame-ancestors 'none'";

const COMMON = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** Their names hold a digest of what they are. */
const HASHED = '/assets/';

interface StaticFile {
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly body: Buffer;
  /** By brotli; absent: it is no shorter. */
  readonly packed?: Buffer;
}

/** By path. A folder that is not there has none: the API serves without a console. */
export async function readFiles(folder: string): Promise<ReadonlyMap<string, StaticFile>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch((thrown: unknown) => {
    if (errorCode(thrown) === 'ENOENT') return [];
    throw thrown;
  });
  const files = await Promise.all(
    names
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }): Promise<readonly [string, StaticFile]> => {
        const file = join(parentPath, name);
        const path = file.slice(folder.length).split(sep).join('/');
        return [path === '/index.html' ? '/' : path, await fileOf(path, await readFile(file))];
      }),
  );
  return new Map(files);
}

async function fileOf(path: string, body: Buffer): Promise<StaticFile> {
  const packed = await promisify(brotliCompress)(body);
  return {
    body,
    ...(packed.length < body.length ? { packed } : {}),
    etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    headers: {
      ...COMMON,
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-security-policy': PAGE_POLICY,
      'cache-control': path.startsWith(HASHED) ? 'public, max-age=31536000, immutable' : 'no-cache',
      vary: 'accept-encoding',
    },
  };
}

/** Whether it was a question for a file, which is answered then. Anything else is a question to the API, whose answer gets its headers here. */
export function serveFile(
  files: ReadonlyMap<string, StaticFile>,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const file = files.get(pathOf({ url: request.url ?? '' }));
  if (!file || (request.method !== 'GET' && request.method !== 'HEAD')) {
    for (const [name, value] of Object.entries(COMMON)) response.setHeader(name, value);
    response.setHeader('content-security-policy', ANSWER_POLICY);
    return false;
  }
  const { headers, etag, body, packed } = file;
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { ...headers, etag }).end();
    return true;
  }
  const takesPacked = packed !== undefined && /\bbr\b/.test(String(request.headers['accept-encoding'] ?? ''));
  const sent = takesPacked ? packed : body;
  response.writeHead(200, {
    ...headers,
    etag,
    'content-length': sent.length,
    ...(takesPacked ? { 'content-encoding': 'br' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : sent);
  return true;
}
