import { describe, expect, test } from '@jest/globals';
import { faultOfAnswer, faultOfThrown } from './fault.ts';

const status = (reason: string, more: object = {}) => ({ kind: 'Status', reason, message: 'because', ...more });

describe('the fault of an answer', () => {
  test.each([
    { http: 404, body: status('NotFound'), code: 'NotFound' },
    { http: 409, body: status('AlreadyExists'), code: 'AlreadyExists' },
    { http: 409, body: status('Conflict'), code: 'Conflict' },
    { http: 410, body: status('Expired'), code: 'Gone' },
    {
      http: 504,
      body: status('Timeout', { details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } }),
      code: 'Gone',
    },
    { http: 504, body: status('Timeout'), code: 'TimedOut' },
    { http: 401, body: status('Unauthorized'), code: 'Unauthorized' },
    { http: 403, body: status('Forbidden'), code: 'Forbidden' },
    { http: 400, body: status('BadRequest'), code: 'Invalid' },
    { http: 413, body: status('RequestEntityTooLarge'), code: 'Invalid' },
    { http: 422, body: status('Invalid'), code: 'Invalid' },
    { http: 415, body: status('UnsupportedMediaType'), code: 'Refused' },
    { http: 503, body: status('ServiceUnavailable'), code: 'ServerError' },
    { http: 0, body: status('Expired', { code: 410 }), code: 'Gone' },
    { http: 0, body: status('InternalError', { code: 500 }), code: 'ServerError' },
  ])('$http $body.reason is $code, with the message of the API', ({ http, body, code }) => {
    expect(faultOfAnswer(http, body, 'GET /x')).toEqual({ code, message: 'because' });
  });

  test.each([undefined, null, 'page', 5, [], { details: { causes: 'no list' } }])(
    'an answer that is no Status (%j) is described by its request',
    (body) => {
      expect(faultOfAnswer(502, body, 'GET /x')).toEqual({
        code: 'ServerError',
        message: 'GET /x was answered with status 502 and no message',
      });
    },
  );

  test('patience is asked for in the header or in the details', () => {
    expect(faultOfAnswer(429, status('TooManyRequests'), '', '7').retryAfterMs).toBe(7_000);
    expect(faultOfAnswer(429, status('x', { details: { retryAfterSeconds: 2 } }), '').retryAfterMs).toBe(2_000);
  });
});

test.each([
  { thrown: Object.assign(new Error('no'), { code: 'ECONNREFUSED' }), code: 'Unreachable' },
  { thrown: Object.assign(new Error('no'), { code: 'UND_ERR_HEADERS_TIMEOUT' }), code: 'TimedOut' },
  { thrown: 'text', code: 'Unreachable' },
])('a request that threw $thrown is $code', ({ thrown, code }) => {
  expect(faultOfThrown(thrown, 'GET /x').code).toBe(code);
  expect(faultOfThrown(thrown, 'GET /x', AbortSignal.abort()).code).toBe('Aborted');
});
