/** The document of the API (OpenAPI 3.1), made from its table of routes: pure. */
import type { TSchema } from 'typebox';
import { PROBLEM_TYPE } from './problem.ts';
import { API_GROUP } from './reviews.ts';
import { CSV, type Right, type Route } from './route.ts';
import { NAMED, ProblemShape } from './schema.ts';

export const PREFIX = '/api/v1';

/** Of every route: what is asked is wrong, unknown, not allowed, too often, or cannot be judged now. */
const COMMON_PROBLEMS = [400, 401, 403, 408, 429, 431, 503];

export function openApi(routes: readonly Route[], release: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = `${PREFIX}${route.path}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'bootfarm',
      version: release,
      description: `What a farm has and does. Rights are on virtual resources of group ${API_GROUP} in the namespace of the farm.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ token: [] }, { certificate: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(NAMED).map(([name, schema]) => [name, inner(schema)])),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token of the cluster.' },
        certificate: { type: 'mutualTLS', description: "Of the cluster's client CA." },
      },
    },
  };
}

function operation({ id, summary, right, path, query, body, answer, problems = [], method }: Route): object {
  const { status, shape, type = 'application/json' } = answer;
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const problem = { description: 'A problem (RFC 9457).', content: { [PROBLEM_TYPE]: { schema: ref(ProblemShape) } } };
  const statuses = [...new Set([...COMMON_PROBLEMS, ...(named.length > 0 ? [404] : []), ...problems])].sort();
  const isEdit = method === 'PUT' || method === 'PATCH' || method === 'DELETE';
  return {
    operationId: id,
    summary,
    ...(right === 'Everybody' ? {} : { 'x-right': rightOf(right) }),
    parameters: [
      ...named.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string', maxLength: 253 } })),
      ...Object.entries(query.properties).map(([name, schema]) => ({
        name,
        in: 'query',
        schema: ref(schema as TSchema),
      })),
      ...(isEdit && problems.includes(412)
        ? [{ name: 'If-Match', in: 'header', schema: { type: 'string' }, description: 'The ETag of what was read.' }]
        : []),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content:
              body === CSV ? { [CSV]: { schema: { type: 'string' } } } : { 'application/json': { schema: ref(body) } },
          },
        }),
    responses: {
      [status]: {
        description: summary,
        ...(status === 204 ? {} : { content: { [type]: { schema: shape ? ref(shape) : { type: 'string' } } } }),
      },
      ...Object.fromEntries(statuses.map((code) => [code, problem])),
    },
  };
}

const rightOf = ({ resource, verb, by }: Right): object => ({
  group: API_GROUP,
  resource,
  verb,
  ...(by ? { resourceName: by } : {}),
});

const names = new Map<unknown, string>(Object.entries(NAMED).map(([name, schema]) => [schema, name]));

/** Named shapes are stated once. */
function ref(schema: unknown): unknown {
  const name = names.get(schema);
  return name === undefined ? inner(schema) : { $ref: `#/components/schemas/${name}` };
}

function inner(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(ref);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, ref(value)]));
}
