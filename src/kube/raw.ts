/** Answers of the Kubernetes API that are text: logs, metrics through its proxy, its version. */
import type { KubeConfig } from '@kubernetes/client-node';
import { request } from 'undici';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { Connection } from './connection.ts';

export interface RawReader {
  /** What is beyond `maxBytes` is cut. `path` as of the API, with its query. */
  read(path: string, maxBytes: number): Promise<Result<string, Fault<'RawFailed'>>>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 15_000;
const SAID_BYTES = 512;

export function rawReader(kubeConfig: KubeConfig): RawReader {
  const connection = new Connection(kubeConfig);
  return {
    close: () => connection.close(),
    async read(path, maxBytes) {
      try {
        const { calls, origin, prefix, headers } = await connection.route();
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        const { statusCode, body } = await request(`${origin}${prefix}${path}`, { dispatcher: calls, headers, signal });
        const isRight = statusCode === 200;
        const text = await cut(body, isRight ? maxBytes : SAID_BYTES);
        return isRight ? ok(text) : fail('RawFailed', `${statusCode} ${text.trim()}`);
      } catch (thrown) {
        return fail('RawFailed', errorMessage(thrown));
      }
    },
  };
}

async function cut(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let left = maxBytes;
  for await (const part of body) {
    parts.push(part.subarray(0, left));
    left -= part.length;
    if (left <= 0) break;
  }
  return Buffer.concat(parts).toString();
}
