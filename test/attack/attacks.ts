/** Every attack, by name. Each runs from all attackers at once. */
import { boots, control, slow } from './connections.ts';
import type { Field } from './field.ts';
import { dhcp, loops, rubbish, tftp } from './packets.ts';
import { logins, replays, sessions, silence } from './sessions.ts';

export const ATTACKS: Readonly<Record<string, (field: Field) => Promise<void>>> = {
  rubbish,
  logins,
  sessions,
  silence,
  loops,
  tftp,
  dhcp,
  replays,
  slow,
  control,
  boots,
};
