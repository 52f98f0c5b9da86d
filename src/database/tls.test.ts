import { expect, test } from '@jest/globals';
import { secured, withRootFile } from './tls.ts';

const FARM = 'postgresql://farm:p%40ss@10.0.0.1:5432/farm';
const CA = '-----BEGIN CERTIFICATE-----';

test.each([
  { what: 'a uri without options', uri: FARM, ca: CA, gives: { connectionString: FARM, ssl: { ca: CA } } },
  {
    what: 'no CA',
    uri: `${FARM}?sslmode=require`,
    ca: undefined,
    gives: { connectionString: `${FARM}?sslmode=require` },
  },
  {
    what: 'less than verify-full',
    uri: `${FARM}?sslmode=require&application_name=x`,
    ca: CA,
    gives: { connectionString: `${FARM}?application_name=x`, ssl: { ca: CA } },
  },
  {
    what: 'a file of somebody else’s machine',
    uri: `${FARM}?sslmode=verify-full&sslrootcert=/home/me/ca.pem`,
    ca: CA,
    gives: { connectionString: FARM, ssl: { ca: CA } },
  },
  {
    what: 'no TLS by a person’s word',
    uri: `${FARM}?sslmode=disable`,
    ca: CA,
    gives: { connectionString: `${FARM}?sslmode=disable` },
  },
])('$what', ({ uri, ca, gives }) => {
  expect(secured(uri, ca)).toEqual(gives);
});

test.each([
  { uri: FARM, gives: `${FARM}?sslmode=verify-full&sslrootcert=/c/ca.crt` },
  { uri: `${FARM}?sslmode=require&x=1`, gives: `${FARM}?x=1&sslmode=verify-full&sslrootcert=/c/ca.crt` },
  { uri: `${FARM}?sslmode=disable`, gives: `${FARM}?sslmode=disable` },
])('$uri with the CA in a file', ({ uri, gives }) => {
  expect(withRootFile(uri, '/c/ca.crt')).toBe(gives);
});
