/** Why a farm does not stand yet. */
import { type Fault, fail, type Result } from '../../kit/result.ts';
import type { ApiFault } from '../../kube/fault.ts';

/** `Unanswered`: the API is away or busy, which says nothing of the farm. `ApplyRefused`: it answers, and will not. */
export type InfrastructureFault = Fault<'SecretMissing' | 'ApplyRefused' | 'Unanswered'>;

const REFUSALS: readonly ApiFault['code'][] = ['NotFound', 'Unauthorized', 'Forbidden', 'Invalid', 'Refused'];

export const isRefusal = ({ code }: ApiFault): boolean => REFUSALS.includes(code);

export const faultOf = (fault: ApiFault): Result<never, InfrastructureFault> =>
  fail(isRefusal(fault) ? 'ApplyRefused' : 'Unanswered', fault.message);
