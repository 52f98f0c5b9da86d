/** Why a farm does not stand yet. */
import { type Fault, fail, type Result } from '../../kit/result.ts';
import type { ApiFault } from '../../kube/fault.ts';

/** `Unanswered`: the API is away or busy, which says nothing of the farm. `ApplyRefused`: it answers, and will not. */
export type InfrastructureFault = Fault<'SecretMissing' | 'ApplyRefused' | 'Unanswered'>;

const REFUSALS: readonly ApiFault['code'][] = ['NotFound', 'Unauthorized', 'Forbidden', 'Invalid', 'Refused'];

export const faultOf = ({ code, message }: ApiFault): Result<never, InfrastructureFault> =>
  fail(REFUSALS.includes(code) ? 'ApplyRefused' : 'Unanswered', message);
