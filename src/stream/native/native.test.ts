import { describe } from '@jest/globals';
import { streamContract } from '../../../test/contract/stream.ts';

describe('one thread', () => streamContract('native'));
describe('three threads', () => streamContract('native', 3));
