import { describe, expect, test } from '@jest/globals';
import { namedOf, type PlaceOptions, placeOf } from './place.ts';

describe('where the API is', () => {
  test.each<[PlaceOptions, object]>([
    [{}, { kind: 'cluster' }],
    [
      { kubeconfig: 'k', context: 'c' },
      { kind: 'cluster', kubeconfig: 'k', context: 'c' },
    ],
    [{ release: 'prod' }, { kind: 'cluster', release: { name: 'prod' } }],
    [{ release: 'ops/prod' }, { kind: 'cluster', release: { namespace: 'ops', name: 'prod' } }],
    [
      { server: 'https://farm.example:8443', tokenFile: 't', caFile: 'c' },
      { kind: 'server', url: new URL('https://farm.example:8443'), tokenFile: 't', caFile: 'c' },
    ],
    // A kubeconfig of the environment stands in nobody's way.
    [{ server: 'https://farm.example', tokenFile: 't', kubeconfig: 'k' }, { kind: 'server' }],
  ])('%j', (options, place) => {
    expect(placeOf(options)).toMatchObject(place);
  });

  test.each<[PlaceOptions, string]>([
    [
      { server: 'http://farm.example', tokenFile: 't' },
      '--server http://farm.example: it must look like https://HOST[:PORT]',
    ],
    [{ server: 'farm', tokenFile: 't' }, 'it must look like https://HOST[:PORT]'],
    [{ server: 'https://ann:secret@farm', tokenFile: 't' }, '--server https://…@farm: it must look like'],
    [{ server: 'https://farm/?token=x', tokenFile: 't' }, 'it must look like'],
    [{ server: 'https://farm' }, '--server needs --token-file FILE'],
    [{ server: 'https://farm', tokenFile: 't', context: 'c' }, '--context is of a kubeconfig'],
    [{ server: 'https://farm', tokenFile: 't', release: 'r' }, '--release is of a kubeconfig'],
    [{ tokenFile: 't' }, '--token-file is for --server'],
    [{ caFile: 'c' }, '--ca-file is for --server'],
    [{ release: 'a/b/c' }, '--release a/b/c: it must look like NAME or NAMESPACE/NAME'],
  ])('%j is refused', (options, says) => {
    expect(() => placeOf(options)).toThrow(says);
  });

  test.each(['', '/', 'a/', '/a', 'A', 'a b', '../a', `${'a'.repeat(260)}`])('no name is %j', (text) => {
    expect(() => namedOf('--farm', text)).toThrow('--farm');
  });
});
