/** The loopback port of `bootfarm console`: what its browser asks goes to the API, by the identity of the kubeconfig. */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { errorCode, errorMessage } from '../../kit/errors.ts';
import { Refusal } from '../../terminal/refusal.ts';
import type { Api } from '../api.ts';
import { addressOf, answeredHeaders, forwardedHeaders, type Guard, judge } from './guard.ts';

export interface ConsoleProxy {
  /** To be opened once. */
  readonly address: string;
  close(): Promise<void>;
}

interface Terms {
  /** 0: any. */
  readonly port: number;
  /** 127.0.0.1 in place of a name of its own. */
  readonly isPlain: boolean;
  /** What whoever started it should know. */
  readonly tell: (text: string) => void;
}

const LOOPBACK = '127.0.0.1';
const secret = (): string => randomBytes(24).toString('base64url');

export async function startProxy(api: Api, { port, isPlain, tell }: Terms): Promise<ConsoleProxy> {
  let guard: Guard;
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    const { host, origin, cookie, 'sec-fetch-site': site, 'sec-purpose': purpose } = headers;
    const asked = { method, url, host, origin, cookie, site: one(site), purpose: one(purpose) };
    const { guard: next, verdict } = judge(guard, asked);
    guard = next;
    switch (verdict.kind) {
      case 'enter':
        return redirect(response, { 'set-cookie': verdict.setCookie });
      case 'home':
        return redirect(response, {});
      case 'refused':
        if (verdict.isAlarm) tell(`${verdict.message}\n`);
        return say(response, verdict.status, verdict.message);
      case 'pass':
        pass(api, request, response).catch((thrown: unknown) => away(response, thrown, tell));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        errorCode(error) === 'EADDRINUSE'
          ? new Refusal(`port ${port} of ${LOOPBACK} is taken: choose another one by --port, or leave it out`)
          : new Refusal(`port ${port} of ${LOOPBACK}: ${error.message}`),
      ),
    );
    server.listen(port, LOOPBACK, resolve);
  });
  const bound = server.address();
  const own = typeof bound === 'object' && bound ? bound.port : port;
  const name = isPlain ? LOOPBACK : `bootfarm-${randomBytes(8).toString('hex')}.localhost`;
  guard = { host: `${name}:${own}`, token: secret(), session: secret(), isTokenUsed: false, isOver: false };
  return {
    address: addressOf(guard),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const one = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;

const redirect = (response: ServerResponse, headers: Readonly<Record<string, string>>): void => {
  // The token stays in no history and in no Referer.
  response
    .writeHead(303, { location: '/', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', ...headers })
    .end();
};

const say = (response: ServerResponse, status: number, message: string): void => {
  response
    .writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
    .end(`${message}\n`);
};

async function pass(api: Api, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '', headers } = request;
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  const answer = await api.raw(method, url, forwardedHeaders(headers), hasBody ? request : undefined);
  response.on('close', () => answer.destroy());
  response.writeHead(answer.statusCode ?? 502, answeredHeaders(answer.headers) as Record<string, string | string[]>);
  // Who closes the page ends its stream of events.
  await pipeline(answer, response).catch(() => undefined);
}

function away(response: ServerResponse, thrown: unknown, tell: (text: string) => void): void {
  const message = errorMessage(thrown);
  tell(`${message}\n`);
  if (response.headersSent) return void response.destroy();
  const body = {
    type: 'urn:bootfarm:problem:Away',
    title: 'The API does not answer',
    status: 502,
    detail: message,
    code: 'Away',
  };
  response
    .writeHead(502, { 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body));
}
