import { streamContract } from '../../test/contract/stream.ts';

streamContract('plain');
