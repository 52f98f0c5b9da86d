import { expect, test } from '@jest/globals';
import type { Static, TSchema } from 'typebox';
import type {
  AcceptedShape,
  AuditShape,
  CopyShape,
  DeviceShape,
  EditShape,
  FarmShape,
  JobsShape,
  PoolShape,
  ProblemShape,
  RollbacksShape,
  ServerShape,
  SessionShape,
  StoreShape,
  VDiskShape,
} from '../api/schema.ts';
import type {
  AuditAnswer,
  DeviceAnswer,
  EditAnswer,
  FarmAnswer,
  JobAnswer,
  PoolAnswer,
  Problem,
  RollbackAnswer,
  ServerAnswer,
  StoreAnswer,
  VDiskAnswer,
} from './answers.ts';
import { exitOf } from './exit.ts';

/** Compiles where the API gives what is read: the desk has none of its code. */
type Gives<Shape extends TSchema, Answer> = Static<Shape> extends Answer ? true : never;
const shapes: readonly true[] = [
  true satisfies Gives<typeof FarmShape, FarmAnswer>,
  true satisfies Gives<typeof StoreShape, StoreAnswer>,
  true satisfies Gives<typeof VDiskShape, VDiskAnswer>,
  true satisfies Gives<typeof PoolShape, PoolAnswer>,
  true satisfies Gives<typeof ServerShape, ServerAnswer>,
  true satisfies Gives<typeof DeviceShape, DeviceAnswer>,
  true satisfies Gives<typeof AuditShape, AuditAnswer>,
  true satisfies Gives<typeof ProblemShape, Problem>,
  true satisfies Gives<typeof EditShape, Omit<EditAnswer, 'patch'>>,
  true satisfies Gives<typeof AcceptedShape, { readonly vdisk: string; readonly manifest?: string | undefined }>,
  true satisfies Gives<typeof RollbacksShape, { readonly items: readonly RollbackAnswer[] }>,
  true satisfies Gives<typeof JobsShape, { readonly items: readonly JobAnswer[] }>,
  true satisfies Gives<
    typeof SessionShape,
    { readonly device: string; readonly server: string; readonly since: number }
  >,
  true satisfies Gives<typeof CopyShape, { readonly vdisk: string; readonly version: number; readonly state: string }>,
];

test('what is read is what the API gives', () => {
  expect(shapes).not.toContain(false);
});

test.each([
  [400, 1],
  [401, 4],
  [403, 4],
  [404, 1],
  [409, 1],
  [412, 1],
  [413, 1],
  [422, 1],
  [429, 5],
  [500, 5],
  [503, 5],
])('a problem of status %d ends the command with %d', (status, exit) => {
  expect(exitOf(status)).toBe(exit);
});
