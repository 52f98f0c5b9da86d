import { expect, test } from '@jest/globals';
import { parseDatabaseUri } from './uri.ts';

test.each<[uri: string, uris: readonly string[], name: string]>([
  ['postgresql://u:p@db:5432/farm', ['postgresql://u:p@db:5432/farm'], 'db:5432/farm'],
  ['postgres://u:p@db/farm?sslmode=require', ['postgres://u:p@db/farm?sslmode=require'], 'db/farm'],
  [
    'postgresql://u:p@a:1,b:2,c/farm?target_session_attrs=read-write&sslmode=require',
    ['a:1', 'b:2', 'c'].map((host) => `postgresql://u:p@${host}/farm?sslmode=require`),
    'a:1,b:2,c/farm',
  ],
  [
    'postgresql://[fd00::1]:5433,[fd00::2]/farm',
    ['postgresql://[fd00::1]:5433/farm', 'postgresql://[fd00::2]/farm'],
    '[fd00::1]:5433,[fd00::2]/farm',
  ],
  [
    'postgresql:///farm?host=a,b&port=6432',
    ['postgresql://a:6432/farm', 'postgresql://b:6432/farm'],
    'a:6432,b:6432/farm',
  ],
  ['postgresql:///farm?host=a,b&port=1,2', ['postgresql://a:1/farm', 'postgresql://b:2/farm'], 'a:1,b:2/farm'],
  ['postgresql://u@/farm?host=/run/pg', ['postgresql://u@localhost/farm?host=%2Frun%2Fpg'], '/run/pg/farm'],
  ['postgresql:///farm', ['postgresql:///farm'], 'localhost/farm'],
  ['postgresql://u:a%2Cb%40c@db/farm', ['postgresql://u:a%2Cb%40c@db/farm'], 'db/farm'],
])('%s', (uri, uris, name) => {
  const parsed = parseDatabaseUri(uri);
  expect(parsed).toMatchObject({ ok: true, value: { name } });
  expect(parsed.ok && parsed.value.hosts.map((host) => host.uri)).toEqual(uris);
});

test.each([
  ['mysql://db/farm', /postgresql:\/\/user/],
  ['secret text', /postgresql:\/\/user/],
  ['postgresql://u:p@a:1,b:x/farm', /no host:port/],
  ['postgresql:///farm?host=a,b,c&port=1,2', /one port for all/],
  [`postgresql://u:p@${Array.from({ length: 17 }, (_, index) => `h${index}`).join(',')}/farm`, /17 hosts: 16/],
])('%s is refused, and the secret is not said', (uri, says) => {
  const parsed = parseDatabaseUri(uri);
  expect(parsed).toMatchObject({ ok: false, error: { code: 'InvalidUri', message: expect.stringMatching(says) } });
  expect(JSON.stringify(parsed)).not.toMatch(/u:p|secret text/);
});
