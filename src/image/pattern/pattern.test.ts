import { describe, expect, test } from '@jest/globals';
import { diskContract } from '../../../test/contract/disk.ts';
import { patternBytes, patternDisk, patternMismatch } from './pattern.ts';

describe('a disk', () => diskContract(async () => patternDisk({ sizeBytes: 1 << 20 })));

test('eight bytes say seed and place', () => {
  expect(patternBytes(4_096, 8, 3).toString('hex')).toBe('0003000000000200');
  expect(patternBytes(4_097, 3, 3).toString('hex')).toBe('030000');
});

test('a wrong byte is found where it is', () => {
  const bytes = patternBytes(512, 512);
  expect(patternMismatch(bytes, 512)).toBeUndefined();
  bytes[70] = 1;
  expect(patternMismatch(bytes, 512)).toBe(582);
  expect(patternMismatch(patternBytes(0, 512), 512)).toBeDefined();
  expect(patternMismatch(patternBytes(512, 512, 1), 512)).toBeDefined();
});
