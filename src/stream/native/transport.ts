/** The native twin: to come. */
import { fail } from '../../kit/result.ts';
import type { OpenTransport } from '../transport.ts';

export const openNative: OpenTransport = async () => fail('NativeUnavailable', 'not built yet');
